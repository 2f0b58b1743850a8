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
  | Run
  | { readonly _tag: "Opened"; publisher: number; life: number; sessionId: number; committed: number }
  | {
    readonly _tag: "Progressed"
    publisher: number
    life: number
    accepted: number
    acknowledged: number
    end: number
  }
  | { readonly _tag: "Closed"; publisher: number; life: number; accepted: number; fenced: boolean }
  | { readonly _tag: "Attached"; position: number }
  | { readonly _tag: "Torn"; position: number }

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

interface Sample {
  readonly journals: ReadonlyArray<Journal>
  end: number
}

const opened = (publisher: number, sessionId: number, committed: number): Entry => ({
  _tag: "Opened",
  publisher,
  life: publisher,
  sessionId,
  committed
})

const progressed = (publisher: number, accepted: number, acknowledged: number, end: number): Entry => ({
  _tag: "Progressed",
  publisher,
  life: publisher,
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
const sample = (): Sample => ({
  end,
  journals: ([
    { process: "publisher-0.1", entries: [opened(0, 11, 0), progressed(0, 10, 0, 0), progressed(0, 25, 20, 30)] },
    {
      process: "publisher-1.2",
      entries: [opened(1, 12, 0), progressed(1, 20, 10, 20), progressed(1, 30, 30, 60), closed(1, 30)]
    },
    { process: "publisher-0.3", entries: [opened(0, 13, 20), progressed(0, 40, 30, 50), closed(0, 40)] },
    { process: "subscriber-0", entries: [{ _tag: "Attached", position: 0 }, ...runs] },
    { process: "subscriber-1", entries: [{ _tag: "Attached", position: 0 }, ...runs.slice(0, 3)] },
    { process: "subscriber-1", entries: [{ _tag: "Attached", position: 40 }, ...runs.slice(4)] }
  ] satisfies Array<Journal>).map((journal) => structuredClone(journal))
})

/** Changes what each reader saw. */
const seen = (sample: Sample, change: (run: Run) => boolean | void): void => {
  for (const journal of sample.journals) {
    journal.entries = journal.entries.filter((entry) => entry._tag !== "Run" || change(entry) !== false)
  }
}

const journal = (sample: Sample, process: string) => sample.journals.findLast((one) => one.process === process)!

const at = <Tag extends Entry["_tag"]>(sample: Sample, process: string, index: number, _tag: Tag) => {
  const entry = journal(sample, process).entries[index]
  assert.strictEqual(entry?._tag, _tag)
  return entry as Extract<Entry, { readonly _tag: Tag }>
}

const from = (position: number, change: (run: Run) => void) => (sample: Sample) =>
  seen(sample, (run) => run.position >= position ? change(run) : undefined)

const planted: ReadonlyArray<readonly [what: string, promise: string, plant: (sample: Sample) => void]> = [
  ["an acknowledged record is lost", "kept", (all) => {
    seen(all, ({ position }) => position < 60)
    all.end = 60
    at(all, "publisher-0.3", 1, "Progressed").acknowledged = 40
  }],
  ["a publisher ends without its last records", "finished", (all) => {
    seen(all, ({ position }) => position < 60)
    all.end = 60
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
    journal(all, "subscriber-0").entries.splice(3, 1)
  }],
  ["a reader sees positions again", "dense", (all) => {
    const { entries } = journal(all, "subscriber-0")
    entries.splice(3, 0, entries[2]!)
  }],
  ["a reader goes back", "dense", (all) => {
    const { entries } = journal(all, "subscriber-0")
    entries.splice(4, 0, { _tag: "Attached", position: 10 })
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
    all.end = 80
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
    journal(all, "publisher-1.2").entries.splice(3, 0, progressed(1, 30, 20, 70))
  }],
  ["an identity goes back behind what was acknowledged", "identity", (all) => {
    at(all, "publisher-0.3", 0, "Opened").committed = 19
  }],
  ["an identity goes back behind its former beginning", "identity", (all) => {
    journal(all, "publisher-0.3").entries.push(opened(0, 14, 15))
  }],
  ["a fenced process commits behind its successor's beginning", "fenced", (all) => {
    at(all, "publisher-0.3", 0, "Opened").committed = 25
  }]
]

/** Of each sample the promises that the verdict calls broken; all in one process. */
const broken = (samples: ReadonlyArray<Sample>): ReadonlyArray<ReadonlyArray<string>> =>
  inModule(
    "bench/torture/verdict",
    `return ${JSON.stringify(samples)}.map(({ end, journals }) => {
       const broken = module.verdictOf(journals, end).checks.filter(({ holds }) => !holds).map(({ name }) => name)
       return Object.keys(module.promises).filter((promise) => broken.includes(module.promises[promise]))
     })`
  ) as ReadonlyArray<ReadonlyArray<string>>

describe("the verdict of the torture", () => {
  it("finds nothing in a run that keeps all promises", () => {
    assert.deepStrictEqual(broken([sample()]), [[]])
  })

  it("has a planted fault for each promise", () => {
    const promises = inModule("bench/torture/verdict", "return Object.keys(module.promises)")
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
