"""What each figure of `livecap eval` means. Imports nothing: `--help` shows it."""

DEFINITIONS = """\
figures (every latency in seconds as p50 / p95 / p99, on two clocks: computation-unaware, where a step costs nothing,
and computation-aware, where a step takes its time and the next begins when it has ended)

  WER, CER offline   wrong, missing and invented words (characters) over those of the reference; pieces of at most 28 s,
                     cut at pauses, each decoded alone. One normaliser: case, punctuation and hyphens do not count
  WER, CER stable    the same for the text that was committed live
  WER, CER final     the same for the text that is exported: settled, where settling ran
  seams              prompts that began anew in unbroken speech; WER of words that begin within 2 s of one, and its
                     ratio to the WER elsewhere, to that elsewhere in the same recording, and the latter for the offline
                     text, which has no seams there: what is over that is the seams'
  first partial      onset of speech after a pause of 1 s or more, to the first text of its utterance
  partial latency    how far the newest right word on screen is behind what has been said: when a display comes, and
                     just before the next one; silence does not count
  emission delay     spoken end of a word to its first display, for words that come out right
  commit latency     spoken end of a word to the moment it can no more change, for words that come out right
  final latency      true end of speech before a pause of 1 s or more, to the display of the words that stay
  close latency      the same, to the end of the utterance
  revisions          updates in which stable text was not the beginning of the next stable text
  unstable words     (UPWR) words shown and then changed or dropped, over words of the committed text
  erasure            (NE) words, as written, erased to write the next display, over those of the committed text
  draft acceptance   tokens of the draft that were said again, over those offered
  passes, saved      sequential passes of the decoder, one token each; and the share of plain decoding's that was saved
  steps, per minute  rounds of the stream; of sound
  RTF                compute time over sound time, settling included; below 1 keeps up
  lag                how late steps begin after the sound that makes them due: p50 / p95 / most
"""
