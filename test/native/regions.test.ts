/**
 * Regions that are missing, torn, another user's, or too large: a typed error each, and nothing left behind.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { geometryArray } from "../../src/layers/native/region/FreeSpace.ts"
import * as Regions from "../../src/layers/Regions.ts"
import { load, type ProgressHandle } from "../../src/native/binding.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { defaultGeometry, Geometry } from "../../src/services/schema/Geometry.ts"
import { geometryError } from "../../src/services/schema/RegionError.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { smallGeometry } from "../backends/log.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-regions-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const fault = <A, R>(effect: Effect.Effect<A, CxlMemory.RegionError, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.notStrictEqual(error.message, "")
    return error.fault
  })

const attach = (path: string) => Effect.scoped(Layer.build(CxlMemory.layerAttach({ path })))

/** Creates a region for the rest of the scope. */
const created = (path: string) => Layer.build(CxlMemory.layerFile({ path, geometry: smallGeometry }))

/** 2 GiB: its creation takes some hundred milliseconds, in which it can be interrupted. */
const largeGeometry = { ...smallGeometry, brokers: 4, clients: 8, laneBytes: 64 * 1024 * 1024 }

const shared = statfsSync("/dev/shm")
const plentyFree = shared.bavail * shared.bsize > 4 * 1024 ** 3

/** Overwrites the bytes at `offset` from outside. */
const damage = (path: string, offset: number, bytes: ReadonlyArray<number>) => {
  const file = openSync(path, "r+")
  writeSync(file, Uint8Array.from(bytes), 0, bytes.length, offset)
  closeSync(file)
}

describe("regions", () => {
  it.live("missing, and neither a file nor a link is taken for one", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      assert.strictEqual(yield* fault(attach(path)), "missing")
      closeSync(openSync(path, "w"))
      assert.strictEqual(yield* fault(attach(path)), "notRegion")
      writeFileSync(path, "a text of mine")
      assert.strictEqual(yield* fault(attach(path)), "notRegion")
      symlinkSync(path, `${path}-link`)
      assert.strictEqual(yield* fault(attach(`${path}-link`)), "notRegion")
      assert.strictEqual(yield* fault(attach(join(path, ".."))), "notRegion")
      assert.strictEqual(yield* fault(attach(join(path, "below"))), "missing")
      assert.strictEqual(yield* fault(attach("/dev/null")), "notRegion")
      assert.strictEqual(yield* fault(attach("")), "invalid")
    }).pipe(Effect.scoped))

  it.live("not ours by magic, by version, by layout, or by half", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      yield* created(path)
      yield* attach(path)
      const faultOfCopy = (change: (copy: string) => void) => {
        copyFileSync(path, `${path}-copy`)
        change(`${path}-copy`)
        return fault(attach(`${path}-copy`))
      }
      assert.strictEqual(yield* faultOfCopy((copy) => damage(copy, 16, [0xee])), "versionMismatch")
      assert.strictEqual(yield* faultOfCopy((copy) => damage(copy, 8, [0xee])), "versionMismatch")
      assert.strictEqual(yield* faultOfCopy((copy) => damage(copy, 0, [0xee])), "notRegion")
      assert.strictEqual(yield* faultOfCopy((copy) => truncateSync(copy, 100)), "truncated")
      assert.strictEqual(yield* faultOfCopy((copy) => truncateSync(copy, statSync(path).size - 1)), "truncated")
    }).pipe(Effect.scoped))

  it.live.skipIf(process.getuid?.() !== 0)("of another user, unless it is allowed", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      yield* created(path)
      chownSync(path, 65534, 65534)
      assert.strictEqual(yield* fault(attach(path)), "foreignOwner")
      yield* Effect.scoped(Layer.build(CxlMemory.layerAttach({ path, allowForeign: true })))
      chmodSync(path, 0o602)
      assert.strictEqual(
        yield* fault(Effect.scoped(Layer.build(CxlMemory.layerAttach({ path, allowForeign: true })))),
        "notPermitted"
      )
    }).pipe(Effect.scoped))

  it.live("open to a group on request, and never to all users", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      for (const mode of [0o666, 0o606, 0o777, 0o640, 0o400, 0]) {
        const refused = Effect.scoped(Layer.build(CxlMemory.layerFile({ path, geometry: smallGeometry, mode })))
        assert.strictEqual(yield* fault(refused), "invalid", mode.toString(8))
      }
      yield* Layer.build(CxlMemory.layerFile({ path, geometry: smallGeometry, mode: 0o660 }))
      assert.strictEqual(statSync(path).mode & 0o777, 0o660)
    }).pipe(Effect.scoped))

  it.live("on the NUMA node that was asked for, where there is one", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const on = (numaNode: number) =>
        Effect.scoped(Layer.build(CxlMemory.layerFile({ path, geometry: smallGeometry, numaNode })))
      for (const node of [-1, 0.5, Number.NaN, 777, 100_000]) {
        assert.strictEqual(yield* fault(on(node)), "invalid", `${node}`)
      }
      const [, refused] = yield* Effect.all([Effect.exit(on(0)), Effect.flip(on(777))])
      assert.match(refused.message, /there is no NUMA node 777 that has memory for this process/)
      assert.deepStrictEqual(readdirSync(dirname(path)), [])
    }).pipe(Effect.scoped))

  it.live("of flushed memory where their creator says so, for each process that attaches", () =>
    Effect.gen(function*() {
      const coherenceOf = (context: Context.Context<CxlMemory.CxlMemory>) =>
        Context.get(context, CxlMemory.CxlMemory).info.coherence
      for (const coherence of [undefined, "coherent", "flushed"] as const) {
        const region = `test-coherence-${process.pid}-${coherence}`
        const memory = { region, geometry: smallGeometry, coherence }
        const created = yield* Layer.build(CxlMemory.layerShm(memory))
        const attached = yield* Layer.build(CxlMemory.layerAttach({ region }))
        assert.deepStrictEqual([created, attached].map(coherenceOf), Array(2).fill(coherence ?? "coherent"))
      }
    }).pipe(Effect.scoped))

  it.live("on no device that is none of memory", () =>
    Effect.gen(function*() {
      for (const path of ["/dev/null", "/dev/zero"]) {
        assert.strictEqual(yield* fault(Effect.scoped(Layer.build(CxlMemory.layerFile({ path })))), "notRegion")
      }
    }))

  it.live("made beside an unrelated file: only what is left of a creation is removed", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      for (const name of ["plan.txt", "DEADBEEF", "deadbeef0", "deadbee"]) writeFileSync(`${path}.creating-${name}`, "")
      writeFileSync(`${path}.creating-0123abcd`, "")
      yield* created(path)
      const kept = readdirSync(join(path, "..")).filter((name) => !name.includes(".bell-")).toSorted()
      assert.deepStrictEqual(
        kept,
        ["region", ...["DEADBEEF", "deadbee", "deadbeef0", "plan.txt"].map((name) => `region.creating-${name}`)]
      )
      const plan = `${path}.creating-plan.txt`
      assert.strictEqual(yield* fault(Regions.removeDead(plan)), "notRegion")
    }).pipe(Effect.scoped))

  it.live("in use already: the second owner is refused and the first is not harmed", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      yield* created(path)
      assert.include(["exists", "busy"], yield* fault(Effect.scoped(created(path))))
      yield* attach(path)
    }).pipe(Effect.scoped))

  it.live("larger than the free space: says how much was wanted and is free, and leaves nothing", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const geometry = { ...smallGeometry, clients: 256, brokers: 32, laneBytes: 2 ** 30 }
      const error = yield* Effect.flip(Effect.scoped(Layer.build(CxlMemory.layerFile({ path, geometry }))))
      assert.strictEqual(error.fault, "noSpace")
      assert.isAbove(error.wantedBytes ?? 0, error.freeBytes ?? Infinity)
      assert.match(error.message, /it takes [\d.]+ TiB, [\d.]+ [KMGT]iB are free/)
      assert.deepStrictEqual(readdirSync(join(path, "..")), [])
    }).pipe(Effect.scoped))

  it.live.skipIf(process.getuid?.() !== 0)(
    "on a file system that fills up: typed, and it works with less",
    () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* Effect.acquireRelease(
          Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", path])),
          () => Effect.sync(() => execFileSync("umount", ["--lazy", path]))
        )
        const region = join(path, "region")
        const large = { ...smallGeometry, laneBytes: 1024 * 1024 }
        const error = yield* Effect.flip(
          Effect.scoped(Layer.build(CxlMemory.layerFile({ path: region, geometry: large })))
        )
        assert.strictEqual(error.fault, "noSpace")
        assert.deepStrictEqual(readdirSync(path), [])
        const publishing = Effect.gen(function*() {
          const publisher = yield* Publisher.open(Topic.make("small"))
          yield* publisher.sendAll(Array.from({ length: 100 }, () => new Uint8Array(4000)))
          yield* publisher.flush
          return publisher.acknowledged()
        })
        const Small = Log.layerEmbedded().pipe(
          Layer.provideMerge(CxlMemory.layerFile({ path: region, geometry: smallGeometry }))
        )
        assert.strictEqual(yield* publishing.pipe(Effect.scoped, Effect.provide(Small)), 100)
      }).pipe(Effect.scoped)
  )

  it.live("of impossible sizes", () =>
    Effect.gen(function*() {
      const impossible = [
        { brokers: 0 },
        { brokers: 33 },
        { clients: 257 },
        { laneSlots: 7 },
        { laneSlots: 48 },
        { indexEntries: 32 },
        { batchBytes: 2048 },
        { laneBytes: 16 * 1024 },
        { laneBytes: Number.NaN },
        { laneBytes: -1 },
        { laneBytes: 2 ** 60 }
      ]
      for (const sizes of impossible) {
        const geometry = { ...smallGeometry, ...sizes }
        const building = Effect.scoped(Layer.build(CxlMemory.layerAnonymous({ geometry })))
        assert.include(["invalid", "noSpace"], yield* fault(building), JSON.stringify(sizes))
        if (!Number.isFinite(sizes.laneBytes ?? 0)) continue
        assert.strictEqual(yield* fault(CxlMemory.regionBytes(geometry)), "invalid", JSON.stringify(sizes))
      }
      for (const region of ["", "../x", "a/b", "x".repeat(65)]) {
        assert.strictEqual(yield* fault(Effect.scoped(Layer.build(CxlMemory.layerShm({ region })))), "invalid")
        assert.strictEqual(yield* fault(Effect.scoped(Layer.build(CxlMemory.layerAttach({ region })))), "invalid")
      }
    }))

  it("of impossible sizes are told by the same rules in both languages", () => {
    const native = load()
    assert(!("unavailable" in native))
    const small = fc.constantFrom(0, 1, 2, 31, 32, 33, 64, 65, 256, 257, 512, 513)
    const power = fc.nat({ max: 33 }).map((exponent) => 2 ** exponent)
    const around = fc.tuple(power, fc.constantFrom(-1, 0, 0, 0, 0, 0, 1)).map(([size, more]) => size + more)
    const geometry = fc.record({
      brokers: small,
      clients: small,
      topics: small,
      readers: small,
      processes: small,
      laneSlots: around,
      indexEntries: around,
      laneBytes: around,
      batchBytes: around
    })
    const change = fc.record({ of: geometry, only: fc.subarray(Object.keys(defaultGeometry), { maxLength: 2 }) })
    fc.assert(
      fc.property(change, ({ of, only }) => {
        const sizes = {
          ...defaultGeometry,
          ...Object.fromEntries(Object.entries(of).filter(([name]) => only.includes(name)))
        }
        const possible = native.layoutBytes(geometryArray(sizes)) > 0
        assert.strictEqual(geometryError("", sizes) === undefined, possible, JSON.stringify(sizes))
        assert.strictEqual(Schema.is(Geometry)(sizes), possible, JSON.stringify(sizes))
      }),
      { numRuns: 2000 }
    )
  })

  it.live("are private to their owner by default, and gone with it", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const scope = yield* Scope.make()
      yield* created(path).pipe(Scope.provide(scope))
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const summary = yield* Regions.inspect(path)
      assert.deepStrictEqual(
        [summary.isRegion, summary.served, summary.attached, summary.creator?.pid, summary.detail],
        [
          true,
          false,
          1,
          process.pid,
          ""
        ]
      )
      const error = yield* Effect.flip(Regions.removeDead(path))
      assert.include(["busy", "exists"], error.fault)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(existsSync(path))
    }).pipe(Effect.scoped))

  it.live.skipIf(!plentyFree)("given up while they are made: soon, and nothing is left", () =>
    Effect.gen(function*() {
      const native = load()
      assert(!("unavailable" in native))
      const createRegion = vi.spyOn(native, "createRegion")
      yield* Effect.addFinalizer(() => Effect.sync(() => createRegion.mockRestore()))
      const region = `test-given-up-${process.pid}`
      const begun = yield* Deferred.make<number>()
      const making = yield* Effect.forkChild(Effect.scoped(Layer.build(CxlMemory.layerShm({
        region,
        geometry: largeGeometry,
        onProgress: (_, all) => Deferred.doneUnsafe(begun, Effect.succeed(all))
      }))))
      const total = yield* Deferred.await(begun)
      yield* Fiber.interrupt(making)
      const progress = createRegion.mock.calls[0]?.[8] as ProgressHandle
      assert.isBelow(progress.bytes(), total)
      assert.deepStrictEqual(readdirSync("/dev/shm").filter((name) => name.includes(region)), [])
    }).pipe(Effect.scoped))

  it.live.skipIf(!plentyFree)("given up when the process exits, and nothing is left", () =>
    Effect.sync(() => {
      const region = `test-exit-${process.pid}`
      const program = `
        import * as Effect from "effect/Effect"
        import * as Layer from "effect/Layer"
        import { layerShm } from "${import.meta.resolve("../../src/layers/CxlMemory.ts")}"
        const onProgress = (faulted) => faulted > 0 && process.exit(0)
        const options = { region: "${region}", geometry: ${JSON.stringify(largeGeometry)}, onProgress }
        await Effect.runPromise(Effect.scoped(Layer.build(layerShm(options))))
        console.log("made")
      `
      const cwd = import.meta.dirname
      const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd, encoding: "utf8" })
      assert.strictEqual(output, "")
      assert.deepStrictEqual(readdirSync("/dev/shm").filter((name) => name.includes(region)), [])
    }))

  // The limit does not bind the superuser, so the program changes its user, which only the superuser can.
  it.live.skipIf(process.getuid?.() !== 0)(
    "in a process that gets no thread any more: typed, and says what helps",
    () =>
      Effect.sync(() => {
        const program = `
        import { execFileSync } from "node:child_process"
        import * as Effect from "effect/Effect"
        import * as Layer from "effect/Layer"
        import { layerAnonymous } from "${import.meta.resolve("../../src/layers/CxlMemory.ts")}"
        const making = Effect.scoped(Layer.build(layerAnonymous({ geometry: ${JSON.stringify(smallGeometry)} })))
        await Effect.runPromise(making)
        execFileSync("prlimit", ["--pid", String(process.pid), "--nproc=1:1"])
        process.setuid(65534)
        const { fault, message } = await Effect.runPromise(Effect.flip(making))
        console.log(fault, message)
      `
        const cwd = import.meta.dirname
        const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd, encoding: "utf8" })
        assert.match(output, /^system .*no thread can be started.*ulimit -u/)
      })
  )

  it.live("not given up where nothing may be interrupted", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const begun = yield* Deferred.make<void>()
      const making = Layer.build(CxlMemory.layerFile({
        path,
        geometry: smallGeometry,
        onProgress: () => Deferred.doneUnsafe(begun, Effect.void)
      }))
      const made = yield* Effect.forkChild(Effect.uninterruptible(making))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(made)
      assert.isTrue(existsSync(path))
    }).pipe(Effect.scoped))

  it.live("tell how much was prefaulted while they are made", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const seen: Array<number> = []
      let total = 0
      yield* Layer.build(CxlMemory.layerFile({
        path,
        geometry: { ...smallGeometry, laneBytes: 4 * 1024 * 1024 },
        onProgress: (faulted, all) => {
          seen.push(faulted)
          total = all
        }
      }))
      assert.isAtLeast(seen.length, 1)
      assert.strictEqual(total, statSync(path).size)
    }).pipe(Effect.scoped))
})
