// Live transcription of a WAV file over `livecap bridge`, with Node alone (18 or newer).
//
//     node client.mjs talk.wav [COMMAND ...]       COMMAND is by default: livecap bridge

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const CHUNK_SECONDS = 0.25;

// The format and the samples of a 16-bit WAV file.
function readWav(path) {
  const file = readFileSync(path);
  let rate, channels;
  for (let at = 12; at + 8 <= file.length; ) {
    const name = file.toString("latin1", at, at + 4);
    const length = file.readUInt32LE(at + 4);
    const body = file.subarray(at + 8, at + 8 + length);
    if (name === "fmt ") {
      if (body.readUInt16LE(14) !== 16) throw new Error("this example reads 16-bit WAV files");
      channels = body.readUInt16LE(2);
      rate = body.readUInt32LE(4);
    } else if (name === "data") {
      return { rate, channels, samples: body };
    }
    at += 8 + length + (length % 2);
  }
  throw new Error(`${path} is not a WAV file`);
}

// What the program asks: a stream with events, its sound in chunks, and the final text.
function* requests(path) {
  const { rate, channels, samples } = readWav(path);
  yield { type: "start", id: "load" };
  yield { type: "start_stream", stream_id: "talk", sample_rate: rate, channels, events: true };
  const bytes = Math.floor(rate * CHUNK_SECONDS) * channels * 2;
  for (let at = 0; at < samples.length; at += bytes) {
    const pcm16 = samples.subarray(at, at + bytes).toString("base64");
    yield { type: "audio_chunk", stream_id: "talk", pcm16 };
  }
  yield { type: "end_utterance", stream_id: "talk", utterance_id: "all" };
  yield { type: "flush", id: "final" };
  yield { type: "stop" };
}

const [path, ...given] = process.argv.slice(2);
const [program, ...options] = given.length ? given : ["livecap", "bridge"];
const bridge = spawn(program, options, { stdio: ["pipe", "pipe", "inherit"] });
const closed = once(bridge, "close");

createInterface({ input: bridge.stdout }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.type === "update") console.log("…", message.stable + message.partial);
  else if (message.type === "utterance") console.log("=", message.text);
  else if (message.type === "realtime_batch_final") console.log("final:", message.items[0].text);
  else if (message.type === "error") {
    console.error(`error ${message.code}: ${message.message}`);
    bridge.kill();
    process.exit(1);
  }
});

bridge.stdin.on("error", () => {}); // the bridge has ended; "close" tells its status
for (const request of requests(path)) {
  if (!bridge.stdin.write(JSON.stringify(request) + "\n")) {
    await Promise.race([once(bridge.stdin, "drain"), closed]);
  }
}
bridge.stdin.end();
const [status] = await closed;
process.exitCode = status ?? 1;
