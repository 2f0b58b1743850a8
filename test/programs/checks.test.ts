/**
 * The checks of the demonstration and the soak, with faults planted: a check that cannot fail proves nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { inModule } from "./snippet.ts"

/** Batches of four records of eight bytes, in two sessions. */
const batches = `
  const batch = (position, sessionId, batchSequence) => ({
    index: position / 4, position, messageCount: 4, sessionId, batchSequence, firstMessage: 4 * batchSequence,
    broker: 0, uniformBytes: 8, lengths: undefined, payload: new Uint8Array(32), publishedMillis: 0, orderedMillis: 0
  })
  const seen = (batches) => {
    const check = new module.OrderCheck()
    for (const batch of batches) check.see(batch)
    const faults = check.sessions().map(({ disordered, duplicates, missing }) => [disordered, duplicates, missing])
    return { sparse: check.sparse, records: check.records, bytes: check.bytes, faults }
  }
`

const seen = (list: string): unknown =>
  inModule("src/programs/log-trial/order-check", `${batches} return seen([${list}])`)

describe("order check", () => {
  it("accepts sessions that are interleaved in their order", () => {
    assert.deepStrictEqual(seen("batch(0, 1, 0), batch(4, 2, 0), batch(8, 1, 1), batch(12, 2, 1)"), {
      sparse: 0,
      records: 16,
      bytes: 128,
      faults: [[0, 0, 0], [0, 0, 0]]
    })
  })

  it("tells a swap, a duplicate, a gap of a session and a gap in the positions", () => {
    const faultsOf = (list: string) => (seen(list) as { readonly faults: ReadonlyArray<unknown> }).faults
    assert.deepStrictEqual(faultsOf("batch(0, 1, 1), batch(4, 1, 0), batch(8, 1, 2)"), [[1, 0, 0]])
    assert.deepStrictEqual(faultsOf("batch(0, 1, 0), batch(4, 1, 0), batch(8, 1, 1)"), [[0, 1, 0]])
    assert.deepStrictEqual(faultsOf("batch(0, 1, 0), batch(4, 1, 2), batch(8, 2, 0)"), [[0, 0, 1], [0, 0, 0]])
    assert.strictEqual((seen("batch(0, 1, 0), batch(8, 1, 1)") as { readonly sparse: number }).sparse, 1)
  })

  it("tells records that were renumbered within their batches", () => {
    const found = seen("batch(0, 1, 0), { ...batch(4, 1, 1), firstMessage: 5 }") as { readonly faults: unknown }
    assert.deepStrictEqual(found.faults, [[1, 0, 0]])
  })
})

describe("content check", () => {
  it("tells every changed byte, another place and another session", () => {
    const wrong = inModule(
      "src/programs/log-trial/session-content",
      `const content = new module.SessionContent(3)
       const record = Buffer.alloc(module.recordBytes)
       const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
       const sequence = 2 ** 32 + 5
       const matches = (session, sequence) => new module.SessionContent(session).matches(record, view, 0, sequence)
       content.write(record, view, sequence)
       const right = matches(3, sequence)
       const elsewhere = matches(3, sequence + 1) || matches(3, 5) || matches(4, sequence)
       let unnoticed = 0
       for (let i = 0; i < record.length; i += 1) {
         record[i] ^= 1
         if (matches(3, sequence)) unnoticed += 1
         record[i] ^= 1
       }
       return { right, elsewhere, unnoticed }`
    )
    assert.deepStrictEqual(wrong, { right: true, elsewhere: false, unnoticed: 0 })
  })
})

describe("checks of a replica's files", () => {
  it("tell damage, every record that is missing, doubled or out of order, and other bytes", () => {
    const failed = inModule(
      "src/programs/demo/stored-checks",
      `const session = { sessionId: 1, records: 10, bytes: 10, disordered: 0, duplicates: 0, missing: 0, mac: "s" }
       const whole = { records: 10, bytes: 10, batches: 5, sparse: 0, orderMac: "o", segments: 1, fileBytes: 20, damage: [] }
       const outcome = {
         publishers: [{ name: "p", result: { sessionId: 1, records: 10, mac: "s" } }],
         subscribers: [{ name: "s", result: { orderMac: "o" } }]
       }
       const failedOf = (stored, counts = {}, more = []) =>
         module.storedChecks({ records: 10, bytes: 10 }, outcome, {
           name: "r",
           result: { ...whole, ...stored, sessions: [{ ...session, ...counts }, ...more] }
         }).filter(({ holds }) => !holds).map(({ name }) => name.replace("the files of r ", ""))
       return [
         failedOf({}),
         failedOf({ damage: ["a byte"] }),
         failedOf({ segments: 0 }),
         failedOf({ records: 9 }),
         failedOf({ bytes: 9 }),
         failedOf({ sparse: 1 }),
         failedOf({}, { duplicates: 1 }),
         failedOf({}, { missing: 1 }),
         failedOf({}, { disordered: 1 }),
         failedOf({ orderMac: "x" }),
         failedOf({}, { mac: "x" }),
         failedOf({}, {}, [{ ...session, sessionId: 2 }])
       ].map((names) => names.join())`
    )
    const [undamaged, whole, equal] = [
      "are undamaged",
      "hold every record once, in order",
      "equal the input and what memory held"
    ]
    assert.deepStrictEqual(failed, [
      "",
      undamaged,
      undamaged,
      ...Array.from({ length: 6 }, () => whole),
      ...Array.from({ length: 3 }, () => equal)
    ])
  })
})

describe("checks of bench takeover", () => {
  it("tell every record that is lost, doubled, out of order or damaged", () => {
    const failed = inModule(
      "src/programs/bench/takeover/report",
      `const session = { sessionId: 1, records: 10, bytes: 10, disordered: 0, duplicates: 0, missing: 0 }
       const whole = { records: 10, bytes: 10, batches: 5, sparse: 0, lastMillis: 0, wrong: 0 }
       const failedOf = (seen, counts = {}, published = {}) =>
         module.reportOf({
           takeovers: [{ pauseMillis: 60, recoveryMillis: 1, keptBatches: 5 }],
           published: { records: 10, acknowledged: 10, ...published },
           seen: { ...whole, ...seen, sessions: [{ ...session, ...counts }] }
         }, []).checks.filter(({ holds }) => !holds).map(({ name }) => name)
       return [
         failedOf({}),
         failedOf({}, {}, { acknowledged: 9 }),
         failedOf({ records: 9 }),
         failedOf({}, { missing: 1 }),
         failedOf({ records: 11 }),
         failedOf({}, { duplicates: 1 }),
         failedOf({ sparse: 1 }),
         failedOf({}, { disordered: 1 }),
         failedOf({ wrong: 1 })
       ].map((names) => names.join())`
    )
    assert.deepStrictEqual(failed, [
      "",
      "everything is acknowledged",
      "no record is lost",
      "no record is lost",
      "no record is doubled",
      "no record is doubled",
      "the order is dense, and the session's own",
      "the order is dense, and the session's own",
      "every byte is right"
    ])
  })
})
