// Live transcription of a WAV file over `livecap bridge`, with Foundation alone.
//
//     swift client.swift talk.wav [COMMAND ...]       COMMAND is by default: livecap bridge

import Foundation

let chunkSeconds = 0.25

struct Wav {
    var rate = 0
    var channels = 0
    var samples = Data()

    /// The format and the samples of a 16-bit WAV file.
    init(path: String) throws {
        let file = try Data(contentsOf: URL(fileURLWithPath: path))
        func number(_ at: Int, _ count: Int) -> Int {
            file[at..<(at + count)].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        var at = 12
        while at + 8 <= file.count {
            let name = String(decoding: file[at..<(at + 4)], as: UTF8.self)
            let length = number(at + 4, 4)
            if name == "fmt " {
                precondition(number(at + 22, 2) == 16, "this example reads 16-bit WAV files")
                channels = number(at + 10, 2)
                rate = number(at + 12, 4)
            } else if name == "data" {
                samples = file.subdata(in: (at + 8)..<min(at + 8 + length, file.count))
                return
            }
            at += 8 + length + length % 2
        }
        throw CocoaError(.fileReadCorruptFile)
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard let path = arguments.first else {
    FileHandle.standardError.write(Data("usage: client.swift FILE.wav [COMMAND ...]\n".utf8))
    exit(2)
}
let sound = try Wav(path: path)
let command = arguments.count > 1 ? Array(arguments.dropFirst()) : ["livecap", "bridge"]

let bridge = Process()
let toBridge = Pipe()
let fromBridge = Pipe()
bridge.executableURL = URL(fileURLWithPath: "/usr/bin/env")
bridge.arguments = command
bridge.standardInput = toBridge
bridge.standardOutput = fromBridge
signal(SIGPIPE, SIG_IGN)  // a bridge that has ended is an error of `write`, not the end of this program
try bridge.run()

func send(_ request: [String: Any]) throws {
    let line = try JSONSerialization.data(withJSONObject: request) + Data("\n".utf8)
    try toBridge.fileHandleForWriting.write(contentsOf: line)
}

// A thread of its own: who only writes, and never reads, comes to a standstill.
Thread.detachNewThread {
    do {
        try send(["type": "start", "id": "load"])
        try send([
            "type": "start_stream", "stream_id": "talk", "sample_rate": sound.rate, "channels": sound.channels,
            "events": true,
        ])
        let bytes = Int(Double(sound.rate) * chunkSeconds) * sound.channels * 2
        var at = 0
        while at < sound.samples.count {
            let chunk = sound.samples.subdata(in: at..<min(at + bytes, sound.samples.count))
            try send(["type": "audio_chunk", "stream_id": "talk", "pcm16": chunk.base64EncodedString()])
            at += bytes
        }
        try send(["type": "end_utterance", "stream_id": "talk", "utterance_id": "all"])
        try send(["type": "flush", "id": "final"])
        try send(["type": "stop"])
        try toBridge.fileHandleForWriting.close()
    } catch {
        FileHandle.standardError.write(Data("\(error.localizedDescription)\n".utf8))
    }
}

func show(_ line: Data) {
    guard let message = try? JSONSerialization.jsonObject(with: line) as? [String: Any] else { return }
    switch message["type"] as? String {
    case "update":
        print("…", "\(message["stable"] ?? "")\(message["partial"] ?? "")")
    case "utterance":
        print("=", message["text"] ?? "")
    case "realtime_batch_final":
        let items = message["items"] as? [[String: Any]] ?? []
        print("final:", items.first?["text"] ?? "")
    case "error":
        let text = "error \(message["code"] ?? ""): \(message["message"] ?? "")\n"
        FileHandle.standardError.write(Data(text.utf8))
        bridge.terminate()
        exit(1)
    default:
        break
    }
}

var waiting = Data()
while true {
    let data = fromBridge.fileHandleForReading.availableData
    if data.isEmpty { break }
    waiting.append(data)
    while let end = waiting.firstIndex(of: 10) {
        show(waiting.subdata(in: waiting.startIndex..<end))
        waiting.removeSubrange(waiting.startIndex...end)
    }
}
bridge.waitUntilExit()
exit(bridge.terminationStatus)
