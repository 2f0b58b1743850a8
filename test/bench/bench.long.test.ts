/**
 * The benchmarks at test sizes: they run, lose nothing, and report completely. Their figures mean nothing here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { childrenOf, filesOf, isAlive, run, start, untilTrue } from "../programs/harness.ts"

interface Report {
  readonly program: string
  readonly environment: { readonly cores: number }
  readonly rounds: ReadonlyArray<
    ReadonlyArray<{
      readonly name: string
      readonly placement: string
      readonly probesMicros: ReadonlyArray<number>
      readonly values: ReadonlyArray<
        {
          readonly key: string
          readonly values: Readonly<Record<string, number>>
          readonly agrees: boolean
          readonly latency?: string
        }
      >
    }>
  >
  readonly disagreeing: ReadonlyArray<string>
}

interface VerbReport {
  readonly verbs: ReadonlyArray<{
    readonly verb: string
    readonly byHand: { readonly min: number }
    readonly coherent: { readonly min: number }
    readonly ratio: number
  }>
}

const rig = "bench/main.ts"

const minutes = 60_000

/** The only group of the only round. */
const groupOf = (args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { code, stderr, text } = yield* run([...args, "--attempts", "1", "--json"], {
      patience: "100 seconds",
      program: rig
    })
    assert.strictEqual(code, 0, stderr)
    const report = JSON.parse(text) as Report
    assert.strictEqual(report.program, `bench ${args[0]}`)
    assert.deepStrictEqual(report.disagreeing, [])
    const [[group] = []] = report.rounds
    assert.isDefined(group)
    return group
  })

const assertPositive = (values: Readonly<Record<string, number>>, names: ReadonlyArray<string>) => {
  for (const name of names) assert.isAbove(values[name] ?? 0, 0, name)
}

describe.skipIf(process.platform !== "linux")("bench verbs", () => {
  it.live("measures each verb by hand, on coherent and on flushed memory", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* run(["verbs", "--runs", "1", "--json"], { program: rig })
      assert.strictEqual(code, 0, stderr)
      const { verbs } = JSON.parse(text) as VerbReport
      assert.strictEqual(verbs.length, 4)
      for (const { byHand, coherent, ratio, verb } of verbs) {
        assertPositive({ byHand: byHand.min, coherent: coherent.min, ratio }, ["byHand", "coherent", "ratio"])
        assert.isNotEmpty(verb)
      }
    }))
})

describe.skipIf(process.platform !== "linux")("bench ring", () => {
  const group = (name: string, ...args: ReadonlyArray<string>) =>
    groupOf(["ring", "--only", name, "--messages", "20000", "--trips", "2000", ...args])

  it.live(
    "carries messages to one reader and to two, and compares the sums of all bytes",
    () =>
      Effect.gen(function*() {
        const small = yield* group("64B")
        assert.deepStrictEqual(
          small.values.map(({ key }) => key),
          ["copy limit, 64 B", "ring 64 B, batched", "ring 64 B, batched, by span", "ring 64 B, one by one"]
        )
        const both = yield* group("two readers")
        assert.strictEqual(both.values.length, 6)
        for (const { agrees, values } of [...small.values, ...both.values]) {
          assert.isTrue(agrees)
          assertPositive(values, ["messagesPerSecond", "gigabytesPerSecond"])
        }
        assert.strictEqual(small.probesMicros.length, 5)
      }),
    2 * minutes
  )

  it.live(
    "measures round trips that spin and that sleep, beside the bare ones of the machine",
    () =>
      Effect.gen(function*() {
        const spinning = yield* group("spinning")
        assert.strictEqual(spinning.values.length, 7)
        assert.match(spinning.values.at(-1)?.key ?? "", /^ringbuf\.js, spinning/)
        const asleep = yield* group("asleep")
        assert.deepStrictEqual(
          asleep.values.map(({ key }) => key),
          ["futex, native, asleep", "ring, native, asleep", "bare wake-up, asleep", "ring, park"]
        )
        for (const { values } of [...spinning.values.slice(1, 6), ...asleep.values]) {
          assertPositive(values, ["p50Micros", "p99Micros"])
          assert.isAtMost(values["p50Micros"] ?? 0, values["p99Micros"] ?? 0)
        }
      }),
    2 * minutes
  )

  it.live(
    "a publication costs at most 1.2 times as much where thirty readers were killed in their sleep",
    () =>
      Effect.gen(function*() {
        const { values } = yield* group("the dead")
        const [alone, dead] = values
        assert.strictEqual(dead?.key, "publish, natively, 30 readers killed in their sleep")
        assertPositive(alone?.values ?? {}, ["p50Nanos", "p99Nanos"])
        assert.isAtMost((dead?.values["p50Nanos"] ?? NaN) / (alone?.values["p50Nanos"] ?? NaN), 1.2)
      }),
    2 * minutes
  )

  it.live("measures the rivals, and leaves out what is not installed", () =>
    Effect.gen(function*() {
      const trips = yield* group("rivals")
      const streams = yield* group("rival streams")
      const missing = (key: string) => key.endsWith("is not installed")
      for (const { agrees, key, values } of [...trips.values, ...streams.values].filter(({ key }) => !missing(key))) {
        assert.isTrue(agrees, key)
        assertPositive(values, Object.keys(values))
      }
      const keys = trips.values.map(({ key }) => key)
      assert.includeMembers(keys, ["worker_threads, postMessage", "child_process, advanced", "Unix socket"])
      assert.isTrue(keys.some((key) => key.startsWith("zeromq")))
      assert.isTrue(streams.values.some(({ key }) => key.startsWith("ringbuf.js")))
    }), 3 * minutes)
})

describe.skipIf(process.platform !== "linux")("bench barrier", () => {
  it.live("measures every mode, and what idle members cost", () =>
    Effect.gen(function*() {
      const { values } = yield* groupOf(["barrier", "--only", "2", "--rounds", "40", "--idle", "200ms"])
      assert.deepStrictEqual(
        values.map(({ key }) => key),
        ["bare wake-up, asleep", "rendezvous of 2", "deliveryFence of 2", "processingFence of 2", "idle, of 2"]
      )
      for (const { values: of } of values.slice(0, 4)) assertPositive(of, ["p50Micros", "p99Micros"])
      for (const { values: of } of values.slice(1, 4)) assertPositive(of, ["processorMicros"])
      const idle = values.at(-1)?.values ?? {}
      assert.isBelow(idle["memberPercent"] ?? 100, 100)
    }), 2 * minutes)
})

describe.skipIf(process.platform !== "linux")("bench rpc", () => {
  it.live("measures a call over rings and over a socket", () =>
    Effect.gen(function*() {
      const { values } = yield* groupOf(["rpc", "--calls", "100"])
      assert.deepStrictEqual(values.map(({ key }) => key), [
        "in one process, without a transport",
        "bare wake-up, asleep",
        "RPC over rings, spin",
        "RPC over rings, adaptive",
        "RPC over rings, park",
        "RPC over a Unix socket"
      ])
      for (const { values: of } of values) assertPositive(of, ["p50Micros", "p99Micros"])
    }), 2 * minutes)
})

describe.skipIf(process.platform !== "linux")("benchmarks", () => {
  it.live("show goals beside what was reached, with ranges over several runs", () =>
    Effect.gen(function*() {
      const args = ["ring", "--only", "asleep", "--trips", "2000", "--runs", "2", "--attempts", "1"]
      const { code, stderr, text } = yield* run(args, { patience: "100 seconds", program: rig })
      assert.strictEqual(code, 0, stderr)
      assert.match(text, /^  ring, park +p50 [\d.]+ .s/m)
      // No figure is compared with a goal when the placement changed.
      if (!/^cores placed (near|far)$/m.test(text)) return
      assert.match(text, /^[✓✗] native round trip asleep \/ futex, p50 +[\d.]+.* at most 1\.50$/m)
    }), 2 * minutes)

  it.live("refuse what they do not know", () =>
    Effect.gen(function*() {
      const refused = (args: ReadonlyArray<string>, line: RegExp) =>
        Effect.map(run(args, { program: rig }), ({ code, stderr, text }) => {
          assert.match(stderr, line)
          assert.deepStrictEqual([code, text], [2, ""])
        })
      yield* refused(["ring", "--only", "nothing"], /64B/)
      yield* refused(["barrier", "--only", "3"], /2.*4.*8/)
      yield* refused(["barrier", "--strategy", "dream"], /spin.*adaptive.*park/)
      yield* refused(["rpc", "--calls", "0"], /0 is not between 1 and/)
      yield* refused(["barriers"], /Unknown subcommand "barriers"/)
    }))

  it.live("end cleanly when they are interrupted, and take their children with them", () =>
    Effect.gen(function*() {
      for (const args of [["barrier", "--only", "4", "--idle", "60s"], ["ring", "--only", "64B"], ["rpc"]]) {
        const program = yield* start(args, { program: rig })
        yield* untilTrue("a child at work", () => childrenOf(program.pid).length > 0)
        const children = childrenOf(program.pid)
        program.signal("SIGINT")
        assert.strictEqual(yield* program.code, 130)
        yield* untilTrue("the children's end", () => children.every(({ pid }) => !isAlive(pid)))
        assert.deepStrictEqual(filesOf(`bench-${program.pid}`), [])
      }
    }), minutes)
})
