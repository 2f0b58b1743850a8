/**
 * `ringfence swarm`: members that join and leave, as real processes, and how each ends.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { filesOf, freshRegion, type Program, removeRegion, run, start, untilTrue } from "./harness.ts"

/** A region of a few megabytes. */
const sizes = ["--members", "6", "--ring-bytes", "16KiB"]

const coordinate = (region: string, ...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
    const program = yield* start(["swarm", "--region", region, "--coordinator", ...sizes, ...args])
    yield* program.told(/coordinates region|"TakingPart"/)
    return program
  })

const join = (region: string, name: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(
    start(["swarm", "--region", region, "--name", name, ...args]),
    (program) => program.told(new RegExp(`${name} joined region|"TakingPart"`))
  )

const events = ({ text }: Program): ReadonlyArray<any> =>
  text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

const isGone = (pid: number): boolean => {
  try {
    return !process.kill(pid, 0)
  } catch {
    return true
  }
}

describe.skipIf(process.platform !== "linux")("swarm", () => {
  it.live("reports members that come and go, leaves by Ctrl-C, and removes its region", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm")
      const first = yield* coordinate(region)
      yield* first.told(
        new RegExp(`coordinates region "${region}" in /dev/shm/ringfence-${region}; join it: ringfence swarm`)
      )
      const ann = yield* join(region, "ann")
      yield* first.told(new RegExp(`^ann \\(pid ${ann.pid}\\) joined: 2 members$`, "m"))
      yield* ann.told(/: 2 members \(coordinator, ann\)$/m)
      ann.signal("SIGINT")
      assert.deepStrictEqual(yield* ann.ended, { code: 130, signal: null })
      yield* first.told(new RegExp(`^ann \\(pid ${ann.pid}\\) left: 1 member$`, "m"))
      const bob = yield* join(region, "bob")
      bob.signal("SIGKILL")
      yield* first.told(new RegExp(`^bob \\(pid ${bob.pid}\\) died: 1 member$`, "m"))
      first.signal("SIGTERM")
      assert.strictEqual(yield* first.code, 0)
      assert.deepStrictEqual(filesOf(region), [])
      assert.strictEqual(`${first.stderr}${ann.stderr}`, "")
    }))

  it.live("reports as JSON, one event a line", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-json")
      const first = yield* coordinate(region, "--json", "--name", "first")
      const ann = yield* join(region, "ann", "--json", "--standby")
      yield* first.told(/"Joined"/)
      const [begun, joined] = events(first)
      assert.deepStrictEqual([begun._tag, begun.region, begun.coordinates, begun.member.name], [
        "TakingPart",
        region,
        true,
        "first"
      ])
      assert.deepStrictEqual([joined._tag, joined.epoch, joined.member.name, joined.member.standby], [
        "Joined",
        2,
        "ann",
        true
      ])
      assert.deepStrictEqual(events(ann)[0].members.map(({ name }: { name: string }) => name), ["first", "ann"])
    }))

  it.live("a standby takes over from a coordinator that is killed or leaves; doctor knows the region in use", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-standby")
      const first = yield* coordinate(region)
      const ann = yield* join(region, "ann", "--standby")
      const bob = yield* join(region, "bob", "--standby")
      first.signal("SIGKILL")
      yield* bob.told(/^ann coordinates now$|^this member coordinates now$/m)
      const doctor = yield* run(["doctor", "--region", region, "--json"])
      assert.strictEqual(doctor.code, 0)
      assert.strictEqual(JSON.parse(doctor.text).regions[0].status, "in use")
      const next = yield* join(region, "next")
      const [present, other] = /this member coordinates now/.test(ann.text) ? [ann, bob] : [bob, ann]
      present.signal("SIGINT")
      assert.strictEqual(yield* present.code, 130)
      yield* other.told(/^this member coordinates now$/m)
      yield* next.told(/^(ann|bob) coordinates now$/m)
      next.signal("SIGINT")
      yield* next.ended
      other.signal("SIGINT")
      yield* other.ended
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live("without a standby members end with exit code 5, and the next start needs no help", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-lost")
      const first = yield* coordinate(region)
      const ann = yield* join(region, "ann")
      first.signal("SIGKILL")
      assert.strictEqual(yield* Effect.timeout(ann.code, "3 seconds"), 5)
      assert.match(
        ann.stderr,
        /^ringfence: the coordinator "[^"]+" \(\d+\.\d+, pid \d+\) is dead and no standby takes over/
      )
      assert.strictEqual((yield* run(["doctor", "--region", region])).code, 1)
      const again = yield* coordinate(region)
      again.signal("SIGINT")
      yield* again.ended
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live("spawns members, starts again what was killed, and ends them with itself", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-spawn")
      const first = yield* coordinate(region, "--spawn", "2", "--recover", "--json")
      yield* first.until("both", () =>
        events(first).filter(({ _tag }) => _tag === "Joined").length === 2 ? true : undefined)
      const pids = events(first).flatMap(({ _tag, member }) =>
        _tag === "Joined" ? [member.pid] : []
      )
      process.kill(pids[0], "SIGKILL")
      yield* first.told(/"incarnation":1/)
      const ended = events(first).find(({ _tag }) => _tag === "ChildEnded")
      assert.deepStrictEqual([ended.pid, ended.signal, ended.incarnation], [pids[0], "SIGKILL", 0])
      first.signal("SIGINT")
      assert.strictEqual(yield* first.code, 130)
      const all = events(first).flatMap(({ _tag, member }) => _tag === "Joined" ? [member.pid] : [])
      assert.strictEqual(all.length, 3)
      for (const pid of all) assert.isTrue(isGone(pid))
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live("the members it spawned end when it is killed", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-owner")
      const first = yield* coordinate(region, "--spawn", "2", "--json")
      yield* first.until("both", () =>
        events(first).filter(({ _tag }) => _tag === "Joined").length === 2 ? true : undefined)
      const pids = events(first).flatMap(({ _tag, member }) =>
        _tag === "Joined" ? [member.pid] : []
      )
      first.signal("SIGKILL")
      yield* untilTrue("they are gone", () => pids.every(isGone))
    }))

  it.live("admits an invited process once, and no other", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-invited")
      const first = yield* coordinate(region, "--invited-only", "--invite", "1", "--json")
      yield* first.told(/"Invited"/)
      const { environment } = events(first).find(({ _tag }) => _tag === "Invited")
      const stranger = yield* run(["swarm", "--region", region])
      assert.strictEqual(stranger.code, 3)
      assert.match(stranger.stderr, /^ringfence: cannot join: the invitation is unknown, used or expired/)
      const guest = yield* start(["swarm", "--name", "guest"], { env: environment })
      yield* guest.told(/guest joined region/)
      assert.strictEqual((yield* run(["swarm"], { env: environment })).code, 3)
    }))

  it.live("says what is wrong: no such swarm, a swarm there already, impossible counts, a missing lifeline", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm-errors")
      const missing = yield* run(["swarm", "--region", region])
      assert.strictEqual(missing.code, 3)
      assert.match(missing.stderr, /there is no swarm in region .*start one: ringfence swarm --coordinator --region/)
      yield* coordinate(region)
      const second = yield* run(["swarm", "--region", region, "--coordinator"])
      assert.strictEqual(second.code, 3)
      assert.match(second.stderr, /has a swarm already \(join it: ringfence swarm --region .* --name NAME\)/)
      for (const wrong of [["--spawn", "500"], ["--members", "0"], ["--expires", "soon"]]) {
        assert.strictEqual((yield* run(["swarm", ...wrong])).code, 2)
      }
      const orphan = yield* run(["swarm", "--region", region], { env: { RINGFENCE_LIFELINE: "3:0123456789abcdef" } })
      assert.strictEqual(orphan.code, 99)
      assert.match(orphan.stderr, /the lifeline to the process that started this one is missing/)
    }))
})
