/**
 * The torture's verdict finds each broken promise by name, in what the processes of a small run would have written down.
 */
import { assert, describe, it } from "@effect/vitest"
import { inModule } from "../programs/snippet.ts"

/** Records that a subscriber has read, as it writes them down. */
interface Run {
  readonly _tag: "Run"
  publisher: number
  life: number
  position: number
  first: number
  records: number
  sessionId: number
  firstMessage: number
}

type Entry =
  | { readonly _tag: "Joined"; region: string; topic: string }
  | Run
  | { readonly _tag: "Opened"; publisher: number; life: number; sessionId: number; committed: number }
  | {
    readonly _tag: "Progressed"
    publisher: number
    life: number
    at: number
    accepted: number
    acknowledged: number
    end: number
  }
  | { readonly _tag: "Closed"; publisher: number; life: number; accepted: number; fenced: boolean }
  | { readonly _tag: "Attached"; position: number; isolation?: "durable"; lag?: "lapped" | "history" }
  | { readonly _tag: "Gap"; from: number; to: number }
  | { readonly _tag: "Missed"; start: number; count: number; records: number }
  | { readonly _tag: "Torn"; position: number }
  | { readonly _tag: "Committing"; position: number }
  | { readonly _tag: "Committed"; position: number; durable: boolean }
  | { readonly _tag: "Synced"; replica: string; position: number; at: number }
  | { readonly _tag: "Files"; replica: string; position: number; at: number }
  | { readonly _tag: "Damaged"; replica: string; what: string }
  | { readonly _tag: "Restored"; position: number; term: number; at: number }
  | { readonly _tag: "Ended"; topic: string; end: number }
  | { readonly _tag: "Withheld"; replica: string; from: number; at: number }

interface Journal {
  readonly process: string
  entries: Array<Entry>
}

/** Runs of ten records: two lives of publisher 0 with an identity, and publisher 1, in turn. */
const runs: ReadonlyArray<Run> = [
  [0, 11, 0],
  [1, 12, 0],
  [0, 11, 10],
  [1, 12, 10],
  [0, 13, 20],
  [1, 12, 20],
  [0, 13, 30]
].map(([publisher = 0, sessionId = 0, first = 0], i) => ({
  _tag: "Run" as const,
  publisher,
  life: publisher,
  position: 10 * i,
  first,
  records: 10,
  sessionId,
  firstMessage: sessionId === 13 ? first - 20 : first
}))

const end = 70

const joined = (region: string, topic: string): Entry => ({ _tag: "Joined", region, topic })

interface Sample {
  readonly journals: ReadonlyArray<Journal>
}

const opened = (publisher: number, sessionId: number, committed: number): Entry => ({
  _tag: "Opened",
  publisher,
  life: publisher,
  sessionId,
  committed
})

const progressed = (publisher: number, accepted: number, acknowledged: number, end: number, at = 0): Entry => ({
  _tag: "Progressed",
  publisher,
  life: publisher,
  at,
  accepted,
  acknowledged,
  end
})

const closed = (publisher: number, accepted: number): Entry => ({
  _tag: "Closed",
  publisher,
  life: publisher,
  accepted,
  fenced: false
})

/** The first life of publisher 0 was killed behind its twentieth record; the second reader began anew in the midst. */
const ordered: ReadonlyArray<Journal> = [
  { process: "publisher-0.1", entries: [opened(0, 11, 0), progressed(0, 10, 0, 0), progressed(0, 25, 20, 30, 20)] },
  {
    process: "publisher-1.2",
    entries: [opened(1, 12, 0), progressed(1, 20, 10, 20, 20), progressed(1, 30, 30, 60, 40), closed(1, 30)]
  },
  { process: "publisher-0.3", entries: [opened(0, 13, 20), progressed(0, 40, 30, 50, 40), closed(0, 40)] },
  { process: "subscriber-0", entries: [{ _tag: "Attached", position: 0 }, ...runs] },
  { process: "subscriber-1", entries: [{ _tag: "Attached", position: 0 }, ...runs.slice(0, 3)] },
  { process: "subscriber-1", entries: [{ _tag: "Attached", position: 40 }, ...runs.slice(4)] },
  // One that may be lapped: passed while it ran, killed, and passed again while it was gone.
  {
    process: "lapped-0.4",
    entries: [
      { _tag: "Attached", position: 0, lag: "lapped" },
      runs[0]!,
      { _tag: "Gap", from: 10, to: 30 },
      runs[3]!,
      { _tag: "Missed", start: 30, count: 1, records: 20 }
    ]
  },
  {
    process: "lapped-0.5",
    entries: [
      { _tag: "Attached", position: 40, lag: "lapped" },
      { _tag: "Gap", from: 40, to: 50 },
      ...runs.slice(5),
      { _tag: "Missed", start: 60, count: 1, records: 10 }
    ]
  }
]

/** Ten records of the publisher with an identity in the durable topic, from that one on, in the session of a region. */
const stored = (position: number, sessionId: number, firstMessage: number, records = 10): Run => ({
  _tag: "Run",
  publisher: 3,
  life: 0,
  position,
  first: position,
  records,
  sessionId,
  firstMessage
})

const before = [stored(0, 1, 0), stored(10, 1, 10), stored(20, 1, 20)]
/** Of the region that was restored at 20: the record at 20 was ordered before, and not durable. */
const after = [stored(20, 1, 0), stored(30, 1, 10)]

const synced = (position: number, at: number, replica: string): Entry => ({ _tag: "Synced", replica, position, at })
const files = (replica: string, at: number): Entry => ({ _tag: "Files", replica, position: 0, at })
const acknowledged = (accepted: number, acknowledged: number, at: number): Entry => ({
  ...progressed(3, accepted, acknowledged, accepted, at),
  life: 0
} as Entry)
const openedDurably = (sessionId: number, committed: number): Entry => ({
  ...opened(3, sessionId, committed),
  life: 0
} as Entry)

/** The durable topic: 20 records are synced and 30 ordered when the log is lost at 50; at the end there are 40. */
const durable: ReadonlyArray<Journal> = [
  {
    process: "publisher-3",
    entries: [
      openedDurably(1, 0),
      acknowledged(10, 0, 10),
      acknowledged(30, 20, 30),
      joined("two", "stored"),
      openedDurably(1, 20),
      acknowledged(40, 40, 80),
      { ...closed(3, 40), life: 0 } as Entry
    ]
  },
  {
    process: "holder.1",
    entries: [
      { _tag: "Attached", position: 0, isolation: "durable" },
      before[0]!,
      { _tag: "Committing", position: 10 },
      { _tag: "Committed", position: 10, durable: true },
      before[1]!,
      { _tag: "Committing", position: 20 },
      { _tag: "Committed", position: 20, durable: false }
    ]
  },
  {
    process: "holder.2",
    entries: [
      joined("two", "stored"),
      { _tag: "Attached", position: 10, isolation: "durable" },
      before[1]!,
      ...after
    ]
  },
  {
    process: "subscriber-2",
    entries: [
      { _tag: "Attached", position: 0 },
      ...before,
      joined("two", "stored"),
      { _tag: "Attached", position: 20 },
      ...after
    ]
  },
  // One that goes on in files: killed, and over the restore.
  {
    process: "history-1.4",
    entries: [{ _tag: "Attached", position: 0, isolation: "durable", lag: "history" }, before[0]!]
  },
  {
    process: "history-1.5",
    entries: [
      { _tag: "Attached", position: 10, isolation: "durable", lag: "history" },
      before[1]!,
      joined("two", "stored"),
      { _tag: "Attached", position: 20, isolation: "durable", lag: "history" },
      ...after
    ]
  },
  { process: "files-a.1", entries: [files("a", 55), ...before.slice(0, 2)] },
  { process: "files-b.1", entries: [files("b", 55), ...before.slice(0, 2)] },
  { process: "files-a.2", entries: [joined("two", "stored"), files("a", 90), ...before.slice(0, 2), ...after] },
  { process: "files-b.2", entries: [joined("two", "stored"), files("b", 90), ...before.slice(0, 2), ...after] },
  { process: "disk-a", entries: [synced(10, 12, "a"), synced(20, 20, "a"), synced(40, 70, "a")] },
  { process: "disk-b", entries: [synced(20, 25, "b"), synced(40, 75, "b")] }
]

/** What the program that tortures has seen: two regions, and a replica that did not sync for a while. */
const conducted: Journal = {
  process: "conductor",
  entries: [
    joined("one", "stored"),
    { _tag: "Withheld", replica: "b", from: 15, at: 45 },
    { _tag: "Ended", topic: "torture", end },
    joined("two", "stored"),
    { _tag: "Restored", position: 20, term: 1, at: 60 },
    { _tag: "Ended", topic: "torture", end: 0 },
    { _tag: "Ended", topic: "stored", end: 40 }
  ]
}

/** Each process begins in the first region, unless it says otherwise. Disks know of none. */
const inFirst = (journals: ReadonlyArray<Journal>, topic: string): ReadonlyArray<Journal> =>
  journals.map(({ entries, process }) => ({
    process,
    entries: entries[0]?._tag === "Joined" || process.startsWith("disk-") ? entries : [joined("one", topic), ...entries]
  }))

/** Each journal is cloned alone: two readers of a run share nothing. */
const sample = (): Sample => ({
  journals: [conducted, ...inFirst(ordered, "torture"), ...inFirst(durable, "stored")].map((journal) =>
    structuredClone(journal)
  )
})

/** Changes what each reader saw. */
const seen = (sample: Sample, change: (run: Run) => boolean | void): void => {
  for (const journal of sample.journals) {
    journal.entries = journal.entries.filter((entry) =>
      entry._tag !== "Run" || entry.publisher === 3 || change(entry) !== false
    )
  }
}

/** Changes what each reader of the durable topic saw, from the files or from memory. */
const seenStored = (sample: Sample, change: (run: Run, process: string) => boolean | void): void => {
  for (const journal of sample.journals) {
    journal.entries = journal.entries.filter((entry) =>
      entry._tag !== "Run" || entry.publisher !== 3 || change(entry, journal.process) !== false
    )
  }
}

const endsAt = (sample: Sample, topic: string, end: number): void => {
  for (const entry of journal(sample, "conductor").entries) {
    if (entry._tag === "Ended" && entry.topic === topic && entry.end > 0) entry.end = end
  }
}

const journal = (sample: Sample, process: string) => sample.journals.findLast((one) => one.process === process)!

const at = <Tag extends Entry["_tag"]>(sample: Sample, process: string, index: number, _tag: Tag) => {
  // Ahead of all stands where it was attached.
  const entry = journal(sample, process).entries[index + 1]
  assert.strictEqual(entry?._tag, _tag)
  return entry as Extract<Entry, { readonly _tag: Tag }>
}

const from = (position: number, change: (run: Run) => void) => (sample: Sample) =>
  seen(sample, (run) => run.position >= position ? change(run) : undefined)

const planted: ReadonlyArray<readonly [what: string, promise: string, plant: (sample: Sample) => void]> = [
  ["an acknowledged record is lost", "kept", (all) => {
    seen(all, ({ position }) => position < 60)
    endsAt(all, "torture", 60)
    at(all, "publisher-0.3", 1, "Progressed").acknowledged = 40
  }],
  ["a publisher ends without its last records", "finished", (all) => {
    seen(all, ({ position }) => position < 60)
    endsAt(all, "torture", 60)
  }],
  [
    "a publisher's records have a hole",
    "ordered",
    from(40, (run) => {
      if (run.publisher === 1) run.first += 5
    })
  ],
  [
    "a record is in the order twice",
    "once",
    from(50, (run) => {
      if (run.publisher === 1) run.first -= 10
    })
  ],
  [
    "records of a killed process come again after its identity went on",
    "once",
    from(40, (run) => {
      if (run.publisher === 0) run.first -= 10
    })
  ],
  [
    "two batches of a session change places",
    "sessions",
    from(0, (run) => {
      if (run.sessionId === 12 && run.first < 20) {
        run.first = 10 - run.first
        run.firstMessage = run.first
      }
    })
  ],
  [
    "two batches of a publisher change places",
    "ordered",
    from(0, (run) => {
      if (run.sessionId === 12 && run.first < 20) run.first = 10 - run.first
    })
  ],
  [
    "a session has a hole",
    "sessions",
    from(40, (run) => {
      if (run.sessionId === 12) run.firstMessage += 1
    })
  ],
  [
    "a session does not begin at its beginning",
    "sessions",
    from(40, (run) => {
      if (run.sessionId === 13) run.firstMessage += 1
    })
  ],
  [
    "a session has records of two publishers",
    "sessions",
    from(50, (run) => {
      if (run.publisher === 1) run.sessionId = 13
    })
  ],
  ["a reader misses positions", "dense", (all) => {
    journal(all, "subscriber-0").entries.splice(4, 1)
  }],
  ["a reader sees positions again", "dense", (all) => {
    const { entries } = journal(all, "subscriber-0")
    entries.splice(4, 0, entries[3]!)
  }],
  ["a reader goes back", "dense", (all) => {
    const { entries } = journal(all, "subscriber-0")
    entries.splice(5, 0, { _tag: "Attached", position: 10 })
  }],
  ["readers see different records at a position", "agree", (all) => {
    at(all, "subscriber-0", 2, "Run").first = 10
    at(all, "subscriber-0", 4, "Run").first = 0
  }],
  ["readers see different publishers at a position", "agree", (all) => {
    at(all, "subscriber-0", 2, "Run").publisher = 0
  }],
  ["readers see different sessions at a position", "agree", (all) => {
    at(all, "subscriber-0", 5, "Run").sessionId = 14
  }],
  ["no reader sees some positions", "complete", (all) => {
    seen(all, ({ position }) => position !== 20)
  }],
  ["readers end before the topic does", "complete", (all) => {
    endsAt(all, "torture", 80)
  }],
  ["a record is torn", "whole", (all) => {
    journal(all, "subscriber-0").entries.push({ _tag: "Torn", position: 70 })
  }],
  [
    "records come from no publisher",
    "sent",
    from(60, (run) => {
      run.publisher = 7
    })
  ],
  ["a publisher's records are more than it sent", "sent", (all) => {
    at(all, "publisher-1.2", 2, "Progressed").accepted = 25
    at(all, "publisher-1.2", 3, "Closed").accepted = 25
  }],
  ["a record is acknowledged before it is committed", "committed", (all) => {
    at(all, "publisher-1.2", 2, "Progressed").end = 59
  }],
  ["more is acknowledged than was sent", "bounded", (all) => {
    at(all, "publisher-1.2", 1, "Progressed").acknowledged = 21
  }],
  ["an acknowledgement is taken back", "forward", (all) => {
    journal(all, "publisher-1.2").entries.splice(4, 0, progressed(1, 30, 20, 70))
  }],
  ["an identity goes back behind what was acknowledged", "identity", (all) => {
    at(all, "publisher-0.3", 0, "Opened").committed = 19
  }],
  ["an identity goes back behind its former beginning", "identity", (all) => {
    journal(all, "publisher-0.3").entries.push(opened(0, 14, 15))
  }],
  ["a fenced process commits behind its successor's beginning", "fenced", (all) => {
    at(all, "publisher-0.3", 0, "Opened").committed = 25
  }],
  ["a record is acknowledged as durable without a sync", "synced", (all) => {
    journal(all, "disk-b").entries.splice(0, 1)
  }],
  ["a record is acknowledged as durable by one of two replicas", "synced", (all) => {
    at(all, "publisher-3", 2, "Progressed").at = 22
  }],
  ["a cut ahead of the last commit block: the files of a replica lack what was acknowledged", "stored", (all) => {
    journal(all, "files-b.1").entries.pop()
  }],
  ["the files of a replica lack the last records", "files", (all) => {
    journal(all, "files-a.2").entries.pop()
  }],
  ["the files of a replica are damaged", "files", (all) => {
    journal(all, "files-a.2").entries.push({ _tag: "Damaged", replica: "a", what: "the second follows the fourth" })
  }],
  ["the files of a replica do not begin at the beginning", "files", (all) => {
    journal(all, "files-a.2").entries.splice(1, 2, { _tag: "Files", replica: "a", position: 10, at: 90 })
  }],
  ["a record of the files is torn", "whole", (all) => {
    journal(all, "files-a.1").entries.push({ _tag: "Torn", position: 20 })
  }],
  ["positions are used again after a restore", "restored", (all) => {
    restoredAt(all, 15)
    reused(all)
  }],
  ["positions are used again for other records", "positions", (all) => {
    reused(all)
  }],
  ["a log is restored in the term that it had", "restored", (all) => {
    for (const entry of journal(all, "conductor").entries) if (entry._tag === "Restored") entry.term = 0
  }],
  ["what was read as durable is gone after a restore", "undone", (all) => {
    journal(all, "holder.1").entries.push(before[2]!)
  }],
  ["readers see different records at a position ahead of a restore", "agree", (all) => {
    const run = journal(all, "subscriber-2").entries.find((entry) => entry._tag === "Run")
    if (run?._tag === "Run") run.sessionId = 9
  }],
  ["an identity goes back behind what was durable, over a restore", "identity", (all) => {
    for (const entry of journal(all, "publisher-3").entries) {
      if (entry._tag === "Opened" && entry.committed === 20) entry.committed = 19
    }
  }],
  ["the order stands still while a replica does not sync", "beside", (all) => {
    for (const { entries } of all.journals) {
      for (const entry of entries) {
        if (entry._tag === "Progressed" && entry.publisher !== 3 && entry.at === 40) entry.at = 50
      }
    }
  }],
  ["a cursor goes back behind its last durable commit, over a restore", "cursor", (all) => {
    journal(all, "holder.2").entries.splice(
      1,
      2,
      { _tag: "Attached", position: 0, isolation: "durable" },
      ...before.slice(0, 2)
    )
  }],
  ["a cursor goes back behind its last commit, in one region", "cursor", (all) => {
    journal(all, "holder.1").entries.push({ _tag: "Attached", position: 10, isolation: "durable" })
  }],
  ["a cursor begins behind what was committed", "skipped", (all) => {
    journal(all, "holder.1").entries.push({ _tag: "Attached", position: 30, isolation: "durable" })
  }],
  ["a cursor commits what its holder has not read", "skipped", (all) => {
    journal(all, "holder.1").entries.push({ _tag: "Committing", position: 21 })
  }],
  ["a gap has a record that was read", "gaps", (all) => {
    at(all, "lapped-0.4", 2, "Gap").from = 9
  }],
  ["a gap begins behind the record that was next", "gaps", (all) => {
    at(all, "lapped-0.4", 2, "Gap").from = 11
  }],
  ["a gap ends ahead of the record that is read behind it", "gaps", (all) => {
    at(all, "lapped-0.4", 2, "Gap").to = 29
  }],
  ["a gap has a record that is read behind it", "gaps", (all) => {
    at(all, "lapped-0.4", 2, "Gap").to = 31
  }],
  ["a gap has nothing", "gaps", (all) => {
    journal(all, "lapped-0.4").entries.splice(5, 0, { _tag: "Gap", from: 40, to: 40 })
  }],
  ["a gap is told again", "gaps", (all) => {
    const { entries } = journal(all, "lapped-0.4")
    entries.splice(3, 0, entries[3]!)
  }],
  ["a reader that was passed is not told", "gaps", (all) => {
    journal(all, "lapped-0.4").entries.splice(3, 1)
  }],
  ["a reader that was passed while it was gone is not told", "gaps", (all) => {
    journal(all, "lapped-0.5").entries.splice(2, 1)
  }],
  ["a reader that was passed begins elsewhere than the process before it ended", "gaps", (all) => {
    at(all, "lapped-0.5", 0, "Attached").position = 41
    at(all, "lapped-0.5", 1, "Gap").from = 41
  }],
  ["a lapped reader ends before the topic does", "gaps", (all) => {
    journal(all, "lapped-0.5").entries.splice(4, 1)
  }],
  ["a lapped reader goes back", "dense", (all) => {
    journal(all, "lapped-0.5").entries.splice(4, 0, runs[4]!)
  }],
  ["a lapped reader sees another record than the others", "agree", (all) => {
    at(all, "lapped-0.4", 3, "Run").first += 1
  }],
  ["a copy of a lapped reader was written over", "whole", (all) => {
    journal(all, "lapped-0.5").entries.push({ _tag: "Torn", position: 69 })
  }],
  ["a gap has what memory has kept", "dropped", (all) => {
    at(all, "lapped-0.4", 4, "Missed").start = 29
  }],
  ["a handle counts a gap that it does not tell", "counted", (all) => {
    at(all, "lapped-0.5", 4, "Missed").count = 2
  }],
  ["a handle counts other records than its gaps have", "counted", (all) => {
    at(all, "lapped-0.5", 4, "Missed").records = 11
  }],
  ["a reader with files is told a gap", "history", (all) => {
    journal(all, "history-1.5").entries.splice(2, 1, { _tag: "Gap", from: 10, to: 20 })
  }],
  ["a reader with files misses records over its restart", "history", (all) => {
    journal(all, "history-1.5").entries.splice(2, 1)
    at(all, "history-1.5", 0, "Attached").position = 20
  }],
  ["a reader with files misses records over a restore", "history", (all) => {
    const { entries } = journal(all, "history-1.5")
    entries.splice(4, 2, { _tag: "Attached", position: 30, isolation: "durable", lag: "history" })
  }],
  ["a reader with files gets records twice", "history", (all) => {
    at(all, "history-1.5", 0, "Attached").position = 0
    journal(all, "history-1.5").entries.splice(2, 0, before[0]!)
  }]
]

/** The restored log ends there, and other records are where those behind it were. */
function restoredAt(sample: Sample, position: number): void {
  for (const entry of journal(sample, "conductor").entries) if (entry._tag === "Restored") entry.position = position
}

/** In the restored log another session has the records from 10 on. */
function reused(sample: Sample): void {
  seenStored(sample, (run, process) => {
    const isLate = process.endsWith(".2") || process === "subscriber-2"
    if (isLate && run.position === 10) run.sessionId = 7
  })
}

/** Of each sample the promises that the verdict calls broken; a process judges as many as its arguments may hold. */
const broken = (samples: ReadonlyArray<Sample>): ReadonlyArray<ReadonlyArray<string>> => {
  const found: Array<ReadonlyArray<string>> = []
  for (let i = 0; i < samples.length; i += judgedAtOnce) found.push(...brokenIn(samples.slice(i, i + judgedAtOnce)))
  return found
}

const judgedAtOnce = 10

const brokenIn = (samples: ReadonlyArray<Sample>): ReadonlyArray<ReadonlyArray<string>> =>
  inModule(
    "bench/torture/verdict/verdict",
    `const terms = { ordered: "torture", durable: "stored", replicas: ["a", "b"] }
     return ${JSON.stringify(samples)}.map(({ journals }) => {
       const broken = module.verdictOf(journals, terms).checks.filter(({ holds }) => !holds).map(({ name }) => name)
       return Object.keys(module.promises).filter((promise) => broken.includes(module.promises[promise]))
     })`
  ) as ReadonlyArray<ReadonlyArray<string>>

describe("the verdict of the torture", () => {
  it("finds nothing in a run that keeps all promises", () => {
    assert.deepStrictEqual(broken([sample()]), [[]])
  })

  it("has a planted fault for each promise", () => {
    const promises = inModule("bench/torture/verdict/verdict", "return Object.keys(module.promises)")
    assert.sameMembers([...new Set(planted.map(([, promise]) => promise))], promises as Array<string>)
    assert.isAtLeast(planted.length, 20)
  })

  it(`finds each of ${planted.length} planted faults by its name`, () => {
    const faulty = planted.map(([, , plant]) => {
      const one = sample()
      plant(one)
      return one
    })
    for (const [i, found] of broken(faulty).entries()) {
      const [what, promise] = planted[i]!
      assert.include(found, promise, what)
    }
  })
})

describe("the report of the torture", () => {
  it("complains of a run in which no reader was lapped, unless it was to do something else", () => {
    const verdicts = inModule(
      "bench/torture/report",
      `const outcome = { seed: 1, millis: 1, inflicted: [], delayed: 0, stuck: undefined }
       const of = (gaps, mustSeeGaps) => {
         const missed = { gaps, records: 5 * gaps }
         const report = module.report({ ...outcome, mustSeeGaps, verdict: { checks: [], positions: 0, restores: 0, missed } })
         return [report.passed, report.missed.records, module.describe(report).includes(gaps === 2 ? "10 records" : "0 records")]
       }
       return [of(2, true), of(0, true), of(0, false)]`
    )
    assert.deepStrictEqual(verdicts, [[true, 10, true], [false, 0, true], [true, 0, true]])
  })
})

describe("a publisher of the torture", () => {
  it("writes its notes in the order of its looks, even if one is held between its look and its writing", () => {
    const notes = inModule(
      "bench/torture/progress",
      `const Effect = await import("effect/Effect")
       const Fiber = await import("effect/Fiber")
       const Latch = await import("effect/Latch")
       const held = Latch.makeUnsafe(false)
       const notes = []
       let acknowledged = 10
       let looks = 0
       const note = module.makeProgress({ publisher: 1, life: 1 }, (entry) => notes.push(entry.acknowledged), {
         acknowledged: () => acknowledged,
         end: Effect.suspend(() => (looks += 1) === 1 ? Effect.as(held.await, 10) : Effect.succeed(20))
       })
       await Effect.runPromise(Effect.gen(function*() {
         const first = yield* Effect.forkChild(note(10), { startImmediately: true })
         acknowledged = 20
         const second = yield* Effect.forkChild(note(20), { startImmediately: true })
         yield* held.open
         yield* Fiber.join(first)
         yield* Fiber.join(second)
       }))
       return notes`
    )
    assert.deepStrictEqual(notes, [10, 20])
  })
})
