/**
 * All programs and errors print numbers in one format, from one module.
 */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { waitingLine } from "../../src/services/AckTracker.ts"
import { AckTimeout, Backpressure, PublisherClosed, RecordTooLarge } from "../../src/services/Publisher.ts"
import { MessageTooLarge, ReaderEvicted, RingFull } from "../../src/services/Ring.ts"
import { CallTimedOut } from "../../src/services/RingRpc.ts"
import { defaultGeometry } from "../../src/services/schema/Geometry.ts"
import { geometryError } from "../../src/services/schema/RegionError.ts"
import { inModule } from "./snippet.ts"

describe("quantities", () => {
  it("writes sizes, counts and times in one way each", () => {
    const written = inModule(
      "src/programs/cli/units",
      `return [
        [0, 1, 1023, 1024, 65536, 1.5 * 2 ** 20, 2 ** 30 - 1, 2 ** 30, 2.5 * 2 ** 40].map(module.formatBytes),
        [0, 1, 1000, 1234567].map(module.formatCount),
        [0.0005, 1.5, 1500, 30_000].map(module.formatMillis),
        [0.25, 90].map(module.formatSeconds),
        [module.plural(1, "record"), module.plural(2000, "record"), module.plural(2, "batch", "batches")]
      ]`
    )
    assert.deepStrictEqual(written, [
      ["0 bytes", "1 byte", "1,023 bytes", "1 KiB", "64 KiB", "1.5 MiB", "1024.0 MiB", "1 GiB", "2.50 TiB"],
      ["0", "1", "1,000", "1,234,567"],
      ["0.5 µs", "1.50 ms", "1.50 s", "30.00 s"],
      ["250.0 ms", "90.00 s"],
      ["1 record", "2,000 records", "2 batches"]
    ])
  })

  it("says counts and times of a server's events in that way", () => {
    const said = inModule(
      "src/programs/serve/events",
      `return module.describeEvent({
        _tag: "SessionGap", sessionId: 1, topic: "lines", batch: 4, broker: 1, sinceMillis: 1500, held: 1200
      })`
    )
    assert.strictEqual(
      said,
      "session 1 of \"lines\" waits for its batch 4 on broker 1 for 1.50 s, 1,200 held behind it"
    )
  })
  it("says sizes, counts and times of errors in that way", () => {
    const topic = "lines"
    const ring = "events/0"
    const errors = [
      new RecordTooLarge({ topic, recordBytes: 65_537, limitBytes: 65_536 }),
      new Backpressure({ topic, waitedMillis: 30_000, waitingOn: "x", waitingOnOwnSubscriber: false }),
      new AckTimeout({ topic, waitedMillis: 1500, acknowledged: 1000, published: 2500, waiting: "x" }),
      new PublisherClosed({ topic, reason: "died", acknowledged: 1 }),
      new PublisherClosed({ topic, reason: "closed", acknowledged: 12_000 }),
      new MessageTooLarge({ ring, messageBytes: 5000, limitBytes: 4096 }),
      new RingFull({ ring, waitedMillis: 50, process: -1, reader: "" }),
      new ReaderEvicted({ ring, from: 1000, to: 2001 }),
      new CallTimedOut({ procedure: "Add", deadlineMillis: 2000 }),
      geometryError("", { ...defaultGeometry, laneBytes: 100_000 }),
      geometryError("", { ...defaultGeometry, rings: 5000 })
    ]
    assert.deepStrictEqual(errors.map((error) => error?.message), [
      "a record of 65,537 bytes does not fit topic \"lines\" (at most 65,536; split it, or create the region with larger batches)",
      "topic \"lines\": no room for 30.00 s, waiting on x",
      "topic \"lines\": 1,000 of 2,500 acknowledged after 1.50 s; x",
      "topic \"lines\": the server ended its session because its process was dead; 1 message is committed",
      "topic \"lines\": the publisher is closed; 12,000 messages are committed",
      "a message of 5,000 bytes exceeds the limit of ring \"events/0\" (4,096)",
      "ring \"events/0\" stayed full for 50.0 ms, and no reader holds its room any more: send again",
      "ring \"events/0\": this reader was too slow and lost 1,001 bytes, from 1000",
      "\"Add\" was not answered within 2.00 s",
      "laneBytes cannot be 100,000 (it must be a power of two from 32 KiB to 4 GiB)",
      "rings cannot be 5,000 (it must be a whole number from 0 to 1,024)"
    ])
    const waitingOn = { broker: 1, batch: 4000, heldBehind: 1200 }
    assert.strictEqual(
      waitingLine({ sessionId: 1, topic, published: 20_000, acknowledged: 9000, byBroker: [9000, 0], waitingOn }),
      "acks: B0=9,000 B1=0 | 9,000/20,000, waiting on B1 (batch 4000, held 1,200 behind it)"
    )
  })

  it("gives no text of the services and the layers a unit of its own", () => {
    const src = join(import.meta.dirname, "../../src")
    const files = ["services", "layers"].flatMap((folder) =>
      readdirSync(join(src, folder), { recursive: true, encoding: "utf8" }).map((file) => join(src, folder, file))
    ).filter((file) => file.endsWith(".ts") && !file.endsWith("services/text/quantities.ts"))
    assert.isAbove(files.length, 100)
    const own = files.filter((file) => /\$\{[^}]*\} (ms|bytes?|seconds?|KiB|MiB)\b/.test(readFileSync(file, "utf8")))
    assert.deepStrictEqual(own, [])
  })
})
