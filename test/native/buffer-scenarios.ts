/**
 * One scenario a process, because each ends its process in a way of its own. Prints `survived` where it gets so far.
 */
import assert from "node:assert"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isMainThread, Worker, workerData } from "node:worker_threads"
import { load, type Native, orderLevel, type RegionHandle, sleepsFor } from "../../src/native/binding.ts"

const native = load() as Native
const geometry = Float64Array.from([2, 2, 1, 2, 16, 64, 2, 8, 64 * 1024, 4096, 0, 0, 0])

const create = (path: string) => native.createRegion(path, "scenario", geometry, 0o600, -1, true, native.newProgress())

const survived = () => process.stdout.write("survived\n")

/** A session with one batch written, and a view of its memory. */
const written = (region: RegionHandle) => {
  const topic = native.declareTopic(region, "t", orderLevel.session, 1)
  const lanes = native.openLanes(region, topic.index)
  native.stepSequencer(region)
  for (const broker of [0, 1]) native.grantLanes(region, broker)
  assert(native.lanesReady(lanes))
  const { slot } = native.lanesInfo(lanes)
  const view = new Uint8Array(native.laneBuffer(region, slot), native.laneBegin(lanes, 0, 0), 100)
  view.fill(7)
  native.laneSeal(lanes, 0, 0, 0, 1, 100, 100, new Uint32Array(1))
  native.lanePublish(lanes, 0)
  return { lanes, view, topic }
}

const path = `/dev/shm/ringfence-scenario-${process.pid}`

const scenarios: Record<string, () => Promise<void>> = {
  "view-after-close": async () => {
    const region = await create("")
    native.startSequencer(region, 500, true, false)
    const { lanes, view } = written(region)
    const buffer = view.buffer
    native.closeRegion(region)
    assert.strictEqual(view.length, 0)
    assert.strictEqual(buffer.byteLength, 0)
    view[0] = 1
    assert.strictEqual(view[0], undefined)
    assert.throws(() => native.snapshot(region), { fault: "closed" })
    native.closeLanes(lanes)
    native.closeRegion(region)
    survived()
  },
  "exit-with-views": async () => {
    const region = await create(path)
    native.startSequencer(region, 500, false, false)
    native.startWaiter(region, () => {})
    native.armWaiter(region, sleepsFor.data)
    const buffer = native.laneBuffer(region, 0)
    process.on("exit", () => {
      new Uint8Array(buffer)[0] = 1
      rmSync(path, { force: true })
      survived()
    })
    process.exit(0)
  },
  "exit-while-serving": async () => {
    const region = await create("")
    native.startSequencer(region, 500, false, false)
    native.startWaiter(region, () => {})
    native.armWaiter(region, sleepsFor.data)
    survived()
    process.exit(0)
  },
  worker: async () => {
    const region = await create(path)
    native.startSequencer(region, 500, true, false)
    for (let i = 0; i < 3; i += 1) {
      const worker = new Worker(new URL(import.meta.url), { workerData: { path } })
      await new Promise((resolve) => worker.once("message", resolve))
      await worker.terminate()
    }
    assert.strictEqual(native.processes(region).filter(({ alive }) => alive).length, 1)
    native.closeRegion(region)
    survived()
  },
  "double-load": async () => {
    // A second copy of the package, as two dependencies may bring.
    const folder = mkdtempSync(join(tmpdir(), "ringfence-load-"))
    for (const file of ["src/native/binding.ts", "build/Release/ringfence.node"]) {
      cpSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), join(folder, file))
    }
    const binding = await import(join(folder, "src/native/binding.ts")) as { readonly load: typeof load }
    const second = binding.load() as Native
    assert.notStrictEqual(second, native)
    const [a, b] = [
      await create(""),
      await second.createRegion(path, "second", geometry, 0o600, -1, true, second.newProgress())
    ]
    assert.notStrictEqual(native.regionInfo(a).regionId, second.regionInfo(b).regionId)
    assert.strictEqual(second.attachRegion(path, "again", false) === undefined, false)
    second.closeRegion(b)
    native.closeRegion(a)
    rmSync(folder, { recursive: true })
    survived()
  },
  collect: async () => {
    const gc = (globalThis as { readonly gc?: () => void }).gc
    for (let i = 0; i < 20; i += 1) {
      const region = await create("")
      native.startSequencer(region, 500, true, false)
      const { view } = written(region)
      assert.strictEqual(view[99], 7)
      if (i % 2 === 0) native.closeRegion(region)
      gc?.()
    }
    gc?.()
    survived()
  }
}

if (isMainThread) {
  await scenarios[process.argv[2] ?? ""]?.()
} else {
  const { parentPort } = await import("node:worker_threads")
  const region = native.attachRegion((workerData as { readonly path: string }).path, "worker", false)
  native.startWaiter(region, () => {})
  native.armWaiter(region, sleepsFor.data)
  assert.strictEqual(native.laneBuffer(region, 0).byteLength, 64 * 1024)
  parentPort?.postMessage("attached")
}
