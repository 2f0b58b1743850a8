/**
 * The events that a server makes of its sequencer's reports: each once, and nothing is kept of what has gone.
 */
import { assert, describe, it } from "@effect/vitest"
import { SequencerEvents } from "../../src/layers/native/log/SequencerEvents.ts"
import type { NativeGate, NativeSessionReport, RegionHandle, SequencerHandle } from "../../src/native/binding.ts"
import { endReason } from "../../src/native/binding.ts"

const report = (sessionId: number, changes: Partial<NativeSessionReport> = {}): NativeSessionReport => ({
  client: sessionId % 4,
  generation: Math.ceil(sessionId / 4),
  sessionId,
  topic: "lines",
  order: 0,
  pid: 1,
  endReason: endReason.none,
  ended: false,
  batches: 0,
  messages: 0,
  held: 1,
  purged: 0,
  gapSinceNanos: sessionId,
  ...changes
})

const gate = (reader: number, sinceNanos: number): NativeGate => ({
  topic: "lines",
  reader,
  pid: 1,
  name: `reader-${reader}`,
  behind: 5,
  sinceNanos
})

/** A sequencer that reports what it is told to. */
const reporting = () => {
  const reports: { sessions: ReadonlyArray<NativeSessionReport>; gates: ReadonlyArray<NativeGate> } = {
    sessions: [],
    gates: []
  }
  const sequencer: Pick<SequencerHandle, "endDead" | "sessions" | "gates"> = {
    endDead: () => [],
    sessions: () => [...reports.sessions],
    gates: () => [...reports.gates]
  }
  const region: Pick<RegionHandle, "snapshot"> = {
    snapshot: () =>
      ({
        identities: [],
        sessions: [],
        topics: [{ name: "lines", readers: [{ reader: 0, replica: 0 }, { reader: 1, replica: 7 }] }]
      }) as unknown as ReturnType<RegionHandle["snapshot"]>
  }
  return { reports, events: new SequencerEvents(region as RegionHandle, sequencer as SequencerHandle, 0) }
}

describe("the events of a sequencer", () => {
  it("tells each opening, gap, stall and end once, however often it is reported", () => {
    const { events, reports } = reporting()
    reports.sessions = [report(1)]
    reports.gates = [gate(0, 7)]
    assert.deepStrictEqual(events.look().map(({ _tag }) => _tag), ["SessionOpened", "SessionGap", "ReaderStalled"])
    assert.deepStrictEqual(events.look(), [])
    // Another gap of the session, and another stall of the reader.
    reports.sessions = [report(1, { gapSinceNanos: 9 })]
    reports.gates = [gate(0, 8)]
    assert.deepStrictEqual(events.look().map(({ _tag }) => _tag), ["SessionGap", "ReaderStalled"])
    reports.sessions = [report(1, { ended: true, endReason: endReason.closed })]
    reports.gates = []
    assert.deepStrictEqual(events.look().map(({ _tag }) => _tag), ["SessionEnded"])
    assert.deepStrictEqual(events.look(), [])
  })

  it("says of a reader that stalls whether it is a replica", () => {
    const { events, reports } = reporting()
    reports.gates = [gate(0, 7), gate(1, 7), gate(2, 7)]
    assert.deepStrictEqual(
      events.look().map((event) => event._tag === "ReaderStalled" && [event.reader, event.isReplica]),
      [["reader-0", false], ["reader-1", true], ["reader-2", false]]
    )
  })

  it("keeps nothing of the sessions and readers that came and went", () => {
    const { events, reports } = reporting()
    const most: Array<number> = []
    for (let round = 0; round < 200; round += 1) {
      // Four slots, each with a new session, and with the end of the one before it.
      const ids = Array.from({ length: 4 }, (_, i) => 4 * round + i + 1)
      const former = round === 0 ? [] : ids.map((id) => report(id - 4, { ended: true, endReason: endReason.died }))
      reports.sessions = [...former, ...ids.map((id) => report(id))]
      reports.gates = [gate(round, round + 1)]
      events.look()
      most.push(events.remembered)
    }
    // Eight sessions, four gaps and a gate.
    assert.isAtMost(Math.max(...most), 13)
    reports.sessions = []
    reports.gates = []
    events.look()
    assert.strictEqual(events.remembered, 0)
  })
})
