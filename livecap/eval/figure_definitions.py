"""The definition of each figure of `livecap eval`. Imports nothing, so that `--help` can show it at once."""

DEFINITIONS = """\
figures

Every latency is in seconds, as p50 / p95 / p99, on two clocks: "unaware" (computation-unaware: a step takes no time)
and "aware" (computation-aware: a step takes its time, and the next one begins when it has ended).

  WER, CER offline   substituted, missing and inserted words (characters) over those of the reference, for the text of
                     offline transcription: pieces of at most 28 s, cut at pauses, each decoded alone. The
                     normaliser ignores case, punctuation and hyphens
  WER, CER stable    the same for the text that was committed live
  WER, CER final     the same for the text that is exported: after settling, where settling ran
  seams              the number of seams (a new prompt in unbroken speech); the WER of words that begin within 2 s of
                     a seam; and three ratios: that WER to the WER elsewhere; to the WER elsewhere in the same
                     recording; and the second ratio for the offline text, which has no seams; the last two with
                     95% intervals. A live ratio above the offline ratio is the effect of seams
  first partial      from the onset of speech after a pause of 1 s or more to the first text of its utterance
  partial latency    how far the newest correct word on screen is behind the speech: at each display, and just before
                     the next one; silence does not count
  emission delay     from the spoken end of a word to its first display; correct words only
  commit latency     from the spoken end of a word to the moment after which it cannot change; correct words only
  final latency      from the true end of speech before a pause of 1 s or more to the display of the final words
  close latency      from the same point to the end of the utterance
  first text after speech, final text after speech
                     from the true end of speech before a pause of 1 s or more to the first text after it, and to the
                     first text after it that closes an utterance, each with the WER of that text against the words
                     since the pause before; stretches without such a text before the next speech are "missed" in JSON
  revisions          updates whose stable text does not begin with the previous stable text
  unstable words     (UPWR) words shown and then changed or dropped, over the words of the committed text
  erasure            (NE) words erased to write the next display, over the words of the committed text
  draft acceptance   draft tokens that the model said again, over those offered
  passes, saved      sequential passes of the decoder, one token each; the share of plain decoding's passes saved
  steps, per minute  decode rounds, and decode rounds per minute of sound
  RTF                compute time over sound time, settling included; below 1 keeps up
  lag                how late steps begin after the sound that makes them due: p50 / p95 / maximum
"""
