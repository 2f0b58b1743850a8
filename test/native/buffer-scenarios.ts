/**
 * Runs one scenario in this process, because each ends its process in a way of its own. Prints `survived` if it
 * survives.
 */
import assert from "node:assert"
import { cpSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isMainThread, Worker, workerData } from "node:worker_threads"
import { RingBytes } from "../../src/layers/ring/FrameCodec.ts"
import {
  load,
  type Native,
  orderLevel,
  type RegionHandle,
  type RingWriterHandle,
  type SequencerHandle,
  type SessionHandle,
  sleepsFor
} from "../../src/native/binding.ts"

const native = load() as Native
const geometry = Float64Array.from([2, 2, 1, 2, 16, 64, 2, 8, 64 * 1024, 4096, 0, 0, 0])

const create = (path: string) =>
  native.createRegion(path, "scenario", geometry, 0o600, -1, true, -1, false, new native.Progress())

const ringBytes = 64 * 1024

const ringGeometry = Float64Array.from([2, 2, 1, 2, 16, 64, 2, 8, 64 * 1024, 4096, 2, 3, ringBytes])

const createWithRings = (path: string) =>
  native.createRegion(path, "scenario", ringGeometry, 0o600, -1, true, -1, false, new native.Progress())

/** Mappings of that file in this process. */
const mapped = (path: string) =>
  readFileSync("/proc/self/maps", "utf8").split("\n").filter((line) => line.includes(path))

const opened = (path: string) =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes(path)
    } catch {
      return false // that of the folder itself
    }
  })

const sentBy = new WeakMap<RingWriterHandle, number>()

/** Sends a message of eight bytes; -2 when the writer has ended. */
const send = (writer: RingWriterHandle, byte: number) => {
  const position = sentBy.get(writer) ?? writer.info().position
  if (writer.room(position, 0, position, 8) < 0) return -2
  const end = new RingBytes(writer.buffer(), ringBytes).write(position, message, new Uint8Array(8).fill(byte))
  if (!writer.publish(end, 1, position)) return -2
  sentBy.set(writer, end)
  return end
}

const message = { kind: 16, type: 1, flags: 0, sender: 0, senderGeneration: 0, correlation: 0 }

const gc = () => (globalThis as { readonly gc?: () => void }).gc?.()

const survived = () => process.stdout.write("survived\n")

const declared = (region: RegionHandle) => {
  const topic = region.declareTopic("t", orderLevel.session, 1, false)
  assert(topic !== undefined)
  return topic
}

/** A session with one batch written, and a view of its memory. */
const written = (region: RegionHandle, sequencer: SequencerHandle) => {
  const topic = declared(region)
  const session = region.openSession(topic.index, topic.generation, -1, 0, 0)
  sequencer.step()
  for (const broker of [0, 1]) region.grantLanes(broker)
  assert(session.ready())
  const { slot } = session.info()
  const view = new Uint8Array(region.laneBuffer(slot), session.begin(0, 0), 100)
  view.fill(7)
  session.seal(0, 0, 0, 1, 100, 100, new Uint32Array(1))
  session.publish(0)
  return { session, view, topic }
}

const frontiersOf = (session: SessionHandle) => {
  const frontiers = new Float64Array(11)
  session.frontiers(0, frontiers)
  return frontiers
}

/** 64 MiB, created in some ten milliseconds. */
const largeGeometry = Float64Array.from([4, 4, 1, 2, 16, 64, 2, 8, 4 * 1024 * 1024, 4096, 0, 0, 0])

const path = `/dev/shm/ringfence-scenario-${process.pid}`

const scenarios: Record<string, () => Promise<void>> = {
  "view-after-close": async () => {
    const region = await create("")
    const sequencer = await region.startSequencer(500, true, false, 0, 0, 0, 0)
    const { session, view } = written(region, sequencer)
    const buffer = view.buffer
    region.close()
    assert.strictEqual(view.length, 0)
    assert.strictEqual(buffer.byteLength, 0)
    view[0] = 1
    assert.strictEqual(view[0], undefined)
    assert.throws(() => region.snapshot(), { fault: "closed" })
    session.close()
    region.close()
    survived()
  },
  "ring-view-after-close": async () => {
    const owner = await createWithRings(path)
    const writer = owner.openRingWriter("ring")
    const kept = owner.openRingReader("ring", "kept")
    const region = native.attachRegion(path, "closes", false)
    const reader = region.openRingReader("ring", "closes")
    const buffer = reader.buffer()
    const view = new Uint8Array(buffer)
    send(writer, 7)
    assert.strictEqual(view[32], 7)
    assert(reader.buffer() === buffer)
    assert.throws(() => writer.info.call(reader as never), TypeError)
    region.close()
    assert.strictEqual(view.length, 0)
    assert.strictEqual(buffer.byteLength, 0)
    assert.throws(() => reader.buffer(), { fault: "closed" })
    // A transferred buffer escapes the detaching, and must then reach only memory that is not shared.
    const moving = native.attachRegion(path, "moves", false)
    const movedReader = moving.openRingReader("ring", "moves")
    const moved = new Uint8Array(movedReader.buffer().transfer())
    assert.strictEqual(moved[32], 7)
    moving.close()
    send(writer, 8)
    assert.deepStrictEqual([moved[32], moved[72]], [0, 0])
    moved.fill(9)
    const others = new Uint8Array(kept.buffer())
    assert.deepStrictEqual([others[32], others[72]], [7, 8])
    owner.close()
    survived()
  },
  "pages-after-close": async () => {
    const owner = await createWithRings(path)
    const sequencer = await owner.startSequencer(500, true, false, 0, 0, 0, 0)
    const { session, topic } = written(owner, sequencer)
    const handles: Array<unknown> = [session]
    for (let i = 0; i < 20; i += 1) {
      const region = native.attachRegion(path, "again", false)
      region.startWaiter(() => {})
      region.armWaiter(sleepsFor.data)
      const ringReader = i === 0 ? undefined : region.openRingReader("ring", "again")
      const ringWriter = region.openRingWriter("ring")
      const reader = region.openReader(topic.index, topic.generation, "again", 0, 0, false, 0, 0)
      const buffers = [region.laneBuffer(0)]
      if (ringReader !== undefined) buffers.push(ringReader.buffer())
      handles.push(region, ringWriter, ringReader, reader, ...buffers)
      reader.close()
      region.close()
      assert.strictEqual(mapped(path).length, 1, mapped(path).join("\n"))
      assert.strictEqual(opened(path).length, 1)
    }
    owner.close()
    assert.deepStrictEqual(mapped(path), [])
    assert.strictEqual(handles.length, 1 + 19 * 6 + 5)
    gc()
    survived()
  },
  "handles-after-close": async () => {
    const region = await createWithRings("")
    const sequencer = await region.startSequencer(500, false, false, 0, 0, 0, 0)
    region.startWaiter(() => {})
    const topic = declared(region)
    const session = region.openSession(topic.index, topic.generation, -1, 0, 0)
    const reader = region.openReader(topic.index, topic.generation, "reader", 0, 0, false, 0, 0)
    const writer = region.openRingWriter("ring")
    const ringReader = region.openRingReader("ring", "reader")
    send(writer, 1)
    for (const handle of [region, sequencer, session, reader, writer, ringReader]) {
      assert.throws(() => Reflect.construct(handle.constructor, []), TypeError)
    }
    assert.throws(() => session.info.call(reader as never), TypeError)
    // A hot method works on the object that made it: JavaScript may call it on any other one.
    assert.strictEqual(ringReader.available.call(session as never), 40)
    region.close()
    const values: Record<string, () => unknown> = {
      sessionReady: () => session.ready(),
      sessionBegin: () => session.begin(0, 0),
      sessionSeal: () => session.seal(0, 0, 0, 1, 100, 100, new Uint32Array(1)),
      sessionPublish: () => session.publish(0),
      sessionInFlight: () => session.inFlight(0),
      sessionCommittedBatches: () => session.committedBatches(),
      sessionCommittedMessages: () => session.committedMessages(),
      sessionEndReason: () => session.endReason(),
      sessionHeld: () => session.held(),
      sessionBrokerHolding: () => session.brokerHolding(0),
      sessionWantRoom: () => session.wantRoom(),
      readerPoll: () => reader.poll(new Float64Array(12), 1),
      readerRelease: () => reader.release(0),
      readerNext: () => reader.next(),
      readerCommitted: () => reader.committed(),
      readerCommittedMessages: () => reader.committedMessages(),
      ringAppend: () => send(writer, 2),
      ringPublish: () => writer.publish(40, 1, 0),
      ringRoom: () => writer.room(40, 1, 0, 8),
      ringTell: () => writer.tell(40, 1, 0),
      ringWantRoom: () => writer.wantRoom(true),
      ringSlowestReader: () => writer.slowestReader(),
      ringEvictSlowest: () => writer.evictSlowest(),
      ringAvailable: () => ringReader.available(),
      ringAdvance: () => ringReader.advance(40, 40, 40, 40),
      ringEvicted: () => ringReader.evicted(new Float64Array(2)),
      ringRejoin: () => ringReader.rejoin(),
      ringEnded: () => ringReader.ended(0),
      closeSession: () => session.close(),
      closeReader: () => reader.close(),
      closeRingWriter: () => writer.close(),
      closeRingReader: () => ringReader.close(),
      stepSequencer: () => sequencer.step(),
      endDead: () => sequencer.endDead().length,
      sequencerSessions: () => sequencer.sessions().length,
      sequencerGates: () => sequencer.gates().length,
      stopSequencer: () => sequencer.stop(false),
      resumeSequencer: () => sequencer.resume(),
      disarmWaiter: () => region.disarmWaiter(),
      closeRegion: () => region.close()
    }
    for (const frontier of frontiersOf(session)) assert(frontier <= 1, `a frontier is ${frontier}`)
    const sessionsSeen = sequencer.sessions().length
    assert.deepStrictEqual(Object.fromEntries(Object.entries(values).map(([name, call]) => [name, call()])), {
      sessionReady: false,
      sessionBegin: -1,
      sessionSeal: false,
      sessionPublish: undefined,
      sessionInFlight: 0,
      sessionCommittedBatches: 0,
      sessionCommittedMessages: 0,
      sessionEndReason: 0,
      sessionHeld: 0,
      sessionBrokerHolding: -1,
      sessionWantRoom: undefined,
      readerPoll: 0,
      readerRelease: undefined,
      readerNext: 0,
      readerCommitted: 0,
      readerCommittedMessages: 0,
      ringAppend: -2,
      ringPublish: false,
      ringRoom: -2,
      ringTell: undefined,
      ringWantRoom: undefined,
      ringSlowestReader: -1,
      ringEvictSlowest: false,
      ringAvailable: 0,
      ringAdvance: undefined,
      ringEvicted: false,
      ringRejoin: -1,
      ringEnded: true,
      closeSession: undefined,
      closeReader: undefined,
      closeRingWriter: undefined,
      closeRingReader: undefined,
      stepSequencer: false,
      endDead: 0,
      sequencerSessions: sessionsSeen,
      sequencerGates: 0,
      stopSequencer: undefined,
      resumeSequencer: undefined,
      disarmWaiter: undefined,
      closeRegion: undefined
    })
    const refused: ReadonlyArray<() => unknown> = [
      () => region.info(),
      () => region.processes(),
      () => region.hold(),
      () => region.startWaiter(() => {}),
      () => region.armWaiter(sleepsFor.data),
      () => region.lives(),
      () => region.wakeProcess(0),
      () => region.serverState(),
      () => region.laneBuffer(0),
      () => region.topics(),
      () => region.declareTopic("u", orderLevel.session, 1, false),
      () => region.openSession(0, 1, -1, 0, 0),
      () => region.openReader(0, 1, "again", 0, 0, false, 0, 0),
      () => region.grantLanes(0),
      () => region.snapshot(),
      () => region.rings(),
      () => region.openRingWriter("ring"),
      () => region.openRingReader("ring", "again"),
      () => writer.buffer(),
      () => writer.presentGeneration(),
      () => writer.leadWindow(),
      () => writer.readersVersionWindow(),
      () => ringReader.buffer(),
      () => ringReader.leadWindow(),
      () => ringReader.fateWindow(),
      () => ringReader.claimWindow(),
      () => ringReader.lineWindow(),
      () => region.ringOpenings(),
      () => region.ringReaders(0, new Float64Array(24)),
      () => region.ringReaderName(0, 0),
      () => region.processAlive(0, 1),
      () => region.reattach("again")
    ]
    for (const call of refused) assert.throws(call, { fault: "closed" })
    survived()
  },
  reattached: async () => {
    const first = await createWithRings("")
    const second = first.reattach("second")
    const writer = second.openRingWriter("ring")
    const reader = second.openRingReader("ring", "reader")
    const bytes = new Uint8Array(reader.buffer())
    first.openRingReader("ring", "first")
    first.close()
    send(writer, 5)
    assert.strictEqual(bytes[32], 5)
    assert.strictEqual(reader.available(), 40)
    second.close()
    assert.strictEqual(bytes.length, 0)
    survived()
  },
  "rings-collected": async () => {
    const region = await createWithRings(path)
    region.openRingWriter("ring")
    for (let i = 0; i < 50; i += 1) {
      const reader = region.openRingReader("ring", "once")
      new Uint8Array(reader.buffer())[0] = 0
      reader.close()
    }
    // Collected buffers are released in later turns.
    for (let turn = 0; turn < 1000 && mapped(path).length > 20; turn += 1) {
      gc()
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert(mapped(path).length <= 20, `${mapped(path).length} mappings`)
    region.close()
    assert.deepStrictEqual(mapped(path), [])
    survived()
  },
  "worker-while-creating": async () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { path, creates: true } })
    await new Promise((resolve) => worker.once("message", resolve))
    await worker.terminate()
    assert.deepStrictEqual(mapped(path), [])
    assert.deepStrictEqual(readdirSync("/dev/shm").filter((name) => path.endsWith(name)), [])
    survived()
  },
  "exit-with-views": async () => {
    const region = await create(path)
    await region.startSequencer(500, false, false, 0, 0, 0, 0)
    region.startWaiter(() => {})
    region.armWaiter(sleepsFor.data)
    const buffer = region.laneBuffer(0)
    process.on("exit", () => {
      new Uint8Array(buffer)[0] = 1
      rmSync(path, { force: true })
      survived()
    })
    process.exit(0)
  },
  "exit-while-serving": async () => {
    const region = await create("")
    await region.startSequencer(500, false, false, 0, 0, 0, 0)
    region.startWaiter(() => {})
    region.armWaiter(sleepsFor.data)
    survived()
    process.exit(0)
  },
  worker: async () => {
    const region = await create(path)
    await region.startSequencer(500, true, false, 0, 0, 0, 0)
    for (let i = 0; i < 3; i += 1) {
      const worker = new Worker(new URL(import.meta.url), { workerData: { path } })
      await new Promise((resolve) => worker.once("message", resolve))
      await worker.terminate()
    }
    assert.strictEqual(region.processes().filter(({ alive }) => alive).length, 1)
    region.close()
    survived()
  },
  "double-load": async () => {
    // A second copy of the package, as two dependencies may install.
    const folder = mkdtempSync(join(tmpdir(), "ringfence-load-"))
    for (const file of ["src/native/binding.ts", "src/native/prebuilds.ts", "build/Release/ringfence.node"]) {
      cpSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), join(folder, file))
    }
    const binding = await import(join(folder, "src/native/binding.ts")) as { readonly load: typeof load }
    const second = binding.load() as Native
    assert.notStrictEqual(second, native)
    const [a, b] = [
      await create(""),
      await second.createRegion(path, "second", geometry, 0o600, -1, true, -1, false, new second.Progress())
    ]
    assert.notStrictEqual(a.info().regionId, b.info().regionId)
    assert.strictEqual(second.attachRegion(path, "again", false) === undefined, false)
    b.close()
    a.close()
    rmSync(folder, { recursive: true })
    survived()
  },
  collect: async () => {
    for (let i = 0; i < 20; i += 1) {
      const region = await create("")
      const sequencer = await region.startSequencer(500, true, false, 0, 0, 0, 0)
      const { view } = written(region, sequencer)
      assert.strictEqual(view[99], 7)
      if (i % 2 === 0) region.close()
      gc()
    }
    gc()
    survived()
  }
}

if (isMainThread) {
  await scenarios[process.argv[2] ?? ""]?.()
} else {
  const { parentPort } = await import("node:worker_threads")
  const { creates } = workerData as { readonly creates?: boolean }
  if (creates === true) {
    const path = (workerData as { readonly path: string }).path
    void native.createRegion(path, "worker", largeGeometry, 0o600, -1, true, -1, false, new native.Progress())
    parentPort?.postMessage("begun")
    await new Promise(() => setInterval(() => undefined, 1000))
  }
  const region = native.attachRegion((workerData as { readonly path: string }).path, "worker", false)
  region.startWaiter(() => {})
  region.armWaiter(sleepsFor.data)
  assert.strictEqual(region.laneBuffer(0).byteLength, 64 * 1024)
  parentPort?.postMessage("attached")
}
