/**
 * An attachment to a region in shared memory, created or attached, and released with its scope.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import {
  geometryFields,
  type Native,
  type ProgressHandle,
  type RegionHandle,
  sleepsFor
} from "../../../native/binding.ts"
import type { AttachedProcess, Backing, Coherence, RegionInfo } from "../../../services/CxlMemory.ts"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { keptWhenOpened } from "../../log/keptWhenOpened.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { DoorbellKind } from "./Doorbell.ts"
import { describeShrunk, fitted, geometryArray, noRoomFor } from "./FreeSpace.ts"
import type { ShrinkableSize } from "./GeometryFit.ts"
import { describeDiscarded, describeKeptSizes } from "./LeftLog.ts"
import { attempt, nativeModule } from "./NativeError.ts"
import { createRegion } from "./RegionCreation.ts"
import { RegionWaiter } from "./RegionWaiter.ts"

/** The attachment that all native layers share. It carries handles of the native module, which are opaque. */
export class NativeRegion extends Context.Service<NativeRegion, {
  readonly native: Native
  readonly handle: RegionHandle
  readonly info: RegionInfo
  /** This process's name, as other processes see it. */
  readonly processName: string
  readonly waiter: RegionWaiter
  /** For rings: wakes when a writer publishes frames. */
  readonly ringWaiter: Waiter
  /** For rings: wakes when a reader releases room. */
  readonly roomWaiter: Waiter
  /** For rings: wakes when a reader advances its cursors. */
  readonly cursorWaiter: Waiter
  readonly processes: Effect.Effect<ReadonlyArray<AttachedProcess>>
  readonly hold: Effect.Effect<void, RegionError>
}>()("ringfence/layers/NativeRegion") {}

export interface CreateOptions {
  /**
   * Sizes that differ from `defaultGeometry`, and are kept. Sizes of lanes, batches, indexes and rings that are not
   * given here are reduced if the region would take more than half of the free space, and a log line reports it.
   */
  readonly geometry?: Partial<Geometry> | undefined
  /** Sizes that may be reduced even though `geometry` gives them. Default: none. */
  readonly shrinkable?: ReadonlyArray<ShrinkableSize> | undefined
  /**
   * Permission bits of the file: 0600 (default), or 0660 for the members of its group too, who attach with
   * `allowForeign`. Other bits are refused: a region is never open to everyone.
   */
  readonly mode?: number | undefined
  /** Numeric group that owns the file. Default: the process's own. */
  readonly group?: number | undefined
  /** Whether to fault in all pages before the layer is ready, so that no message pays for it. Default true. */
  readonly prefault?: boolean | undefined
  /**
   * The NUMA node whose memory the region takes, as for the memory of a CXL expander, which is a node without
   * processors. Default: where the system puts it. Refused for a device, whose memory is a node's already.
   */
  readonly numaNode?: number | undefined
  /**
   * How the region's memory makes writes visible: `coherent` (default) for memory of one host, which does it itself;
   * `flushed` for memory that is not coherent between its users, where each write is written back and each read
   * invalidated by instruction. The region's header keeps it: each process that attaches follows.
   */
  readonly coherence?: Coherence | undefined
  /**
   * What becomes of a log that the region's dead server left: `continue` (default) attaches to it with the sizes that it
   * has, so that a server goes on with the log and its living clients; `discard` removes it, and a log line says what
   * it held; `refuse` fails with `recoverable`.
   */
  readonly leftLog?: "continue" | "discard" | "refuse" | undefined
  /**
   * Whether to attach, and to keep the region in use, if other processes own it already, as a standby does. Default
   * false: fails with `exists`.
   */
  readonly share?: boolean | undefined
  /** This process's name, as other processes see it. Default: the title of the program. */
  readonly processName?: string | undefined
  /** Called about ten times a second while the region is prefaulted. */
  readonly onProgress?: ((faultedBytes: number, totalBytes: number) => void) | undefined
}

export interface AttachOptions {
  readonly processName?: string | undefined
  /** Whether to attach to a region of another user, whose memory is only as trustworthy as that user. Default false. */
  readonly allowForeign?: boolean | undefined
}

/**
 * Creates a region, or continues or shares the one that is there, as the options say. First removes what a dead process
 * left under the same path.
 */
export const create = (
  name: string,
  backing: Backing,
  path: string,
  options: CreateOptions = {}
): Effect.Effect<NativeRegion["Service"], RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const native = yield* nativeModule
    const refused = modeError(name, options.mode) ?? nodeError(name, options.numaNode)
    if (refused !== undefined) return yield* refused
    if (path === "") return yield* createNew(native, { name, backing, path }, options)
    return yield* openOrCreate(native, { name, backing, path }, options)
  })

export const attach = (
  name: string,
  backing: Backing,
  path: string,
  options: AttachOptions = {}
): Effect.Effect<NativeRegion["Service"], RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const native = yield* nativeModule
    const processName = options.processName ?? processTitle()
    const handle = yield* Effect.acquireRelease(
      attempt(name, () => native.attachRegion(path, processName, options.allowForeign ?? false)),
      (handle) => Effect.sync(() => handle.close())
    )
    return yield* attached(native, handle, { name, backing, processName })
  })

// --- internal ---

interface Place {
  readonly name: string
  readonly backing: Backing
  readonly path: string
}

type Opened = Effect.Effect<NativeRegion["Service"], RegionError, Scope.Scope>

const createNew = (native: Native, { backing, name, path }: Place, options: CreateOptions): Opened =>
  Effect.gen(function*() {
    const processName = options.processName ?? processTitle()
    const sizes = yield* fitted(native, name, path, options)
    const said = describeShrunk(name, sizes)
    if (said !== undefined) yield* Effect.logInfo(said)
    const geometry = geometryArray(sizes.geometry)
    const start = (progress: ProgressHandle) => {
      const { coherence, group = -1, mode = 0o600, numaNode = -1, prefault = true } = options
      const flushed = coherence === "flushed"
      return native.createRegion(path, processName, geometry, mode, group, prefault, numaNode, flushed, progress)
    }
    const { onProgress } = options
    const handle = yield* createRegion({ region: name, native, totalBytes: sizes.bytes, onProgress, start }).pipe(
      Effect.mapError(noRoomFor(native, sizes.geometry))
    )
    return yield* attached(native, handle, { name, backing, processName })
  })

// Another process may create, continue or remove the region at the same time: then look again.
const openOrCreate = (native: Native, place: Place, options: CreateOptions, attempts = 20): Opened =>
  Effect.gen(function*() {
    const { name, path } = place
    // Remove leftovers before measuring the free space.
    const left = yield* removeLeft(native, place, options.leftLog ?? "continue")
    const attaches = left === "log" || (left === "used" && options.share === true)
    const opening = keptWhenOpened(attaches ? attachOwning(place, options) : createNew(native, place, options))
    const passing = attaches ? "missing" : options.share === true ? "exists" : undefined
    return yield* Effect.catchIf(
      opening,
      ({ fault }) => fault === passing && attempts > 1,
      () =>
        Effect.andThen(Effect.sleep(againMillis), openOrCreate(native, { ...place, name, path }, options, attempts - 1))
    )
  })

const againMillis = 50

/**
 * Removes the region if no process uses it. `used`: some process does, or it is no region that may be removed; the
 * creation then fails and says which. `log`: it has a log that this process shall continue.
 */
const removeLeft = (
  native: Native,
  { name, path }: Place,
  leftLog: "continue" | "discard" | "refuse"
): Effect.Effect<"nothing" | "used" | "log", RegionError> =>
  attempt(name, () => native.removeDeadRegion(path, false)).pipe(
    Effect.as("nothing" as const),
    Effect.catch((error) => {
      if (error.fault === "busy") return Effect.succeed("used" as const)
      if (error.fault !== "recoverable" || leftLog === "refuse") return Effect.fail(error)
      return leftLog === "continue"
        ? Effect.succeed("log" as const)
        : Effect.as(discard(native, name, path), "nothing" as const)
    })
  )

const discard = (native: Native, name: string, path: string): Effect.Effect<void, RegionError> =>
  Effect.gen(function*() {
    const held = yield* Effect.option(attempt(name, () => native.inspectLog(path)))
    yield* attempt(name, () => native.removeDeadRegion(path, true))
    yield* Effect.logWarning(describeDiscarded(name, Option.getOrUndefined(held)))
  })

// Holds the region before its log is used: from then on no process that leaves removes its name.
const attachOwning = ({ backing, name, path }: Place, options: CreateOptions): Opened =>
  Effect.gen(function*() {
    const region = yield* attach(name, backing, path, { processName: options.processName })
    yield* region.hold
    const said = describeKeptSizes(region.info, options.geometry)
    if (said !== undefined) yield* Effect.logInfo(said)
    return { ...region, info: { ...region.info, owner: true } }
  })

const modeError = (region: string, mode = 0o600): RegionError | undefined => {
  if (mode === 0o600 || mode === 0o660) return undefined
  const detail = `its permissions cannot be ${mode.toString(8).padStart(3, "0")}`
  return new RegionError({ fault: "invalid", region, detail, hint: "600 for its owner, 660 for its group as well" })
}

const nodeError = (region: string, node = 0): RegionError | undefined => {
  if (Number.isInteger(node) && node >= 0 && node < 2 ** 31) return undefined
  const detail = `its NUMA node cannot be ${node}`
  return new RegionError({ fault: "invalid", region, detail, hint: "nodes are numbered from 0" })
}

const attached = (
  native: Native,
  handle: RegionHandle,
  { backing, name, processName }: { readonly name: string; readonly backing: Backing; readonly processName: string }
): Effect.Effect<NativeRegion["Service"], RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const doorbell = yield* DoorbellKind
    const waiter = yield* Effect.acquireRelease(
      attempt(name, () => new RegionWaiter(handle, name, doorbell)),
      (waiter) => Effect.sync(() => waiter.close())
    )
    const processes = Effect.sync(() => handle.processes())
    const info = infoOf(handle, name, backing)
    const roomWaiter = waiter.forRings(sleepsFor.room)
    const cursorWaiter = waiter.forRings(sleepsFor.cursor)
    const ringWaiter = waiter.forRings(sleepsFor.frames)
    const waiters = { waiter, ringWaiter, roomWaiter, cursorWaiter }
    const hold = attempt(name, () => handle.hold())
    return NativeRegion.of({ native, handle, info, processName, ...waiters, processes, hold })
  })

const infoOf = (handle: RegionHandle, name: string, backing: Backing): RegionInfo => {
  const info = handle.info()
  const sizes = Object.fromEntries(geometryFields.map((field, i) => [field, info.geometry[i] ?? 0]))
  const { epochBlocks: _, ...geometry } = sizes
  return {
    name,
    path: info.path,
    backing,
    coherence: info.flushed ? "flushed" : "coherent",
    regionId: info.regionId,
    bytes: info.bytes,
    geometry: geometry as unknown as Geometry,
    owner: info.owner
  }
}
