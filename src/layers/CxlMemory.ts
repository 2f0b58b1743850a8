/**
 * Layers of `CxlMemory`: regions of shared memory in `/dev/shm`, in a file, or without a name.
 *
 * @example
 * ```ts
 * import { CxlMemory, Log } from "ringfence"
 * import * as Layer from "effect/Layer"
 *
 * const Memory = CxlMemory.layerShm({ region: "orders", geometry: { brokers: 4 } })
 * const Embedded = Log.layerEmbedded().pipe(Layer.provideMerge(Memory))
 * ```
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { defaultGeometry, type Geometry } from "../services/schema/Geometry.ts"
import { geometryError, RegionError } from "../services/schema/RegionError.ts"
import { layerOf, type Provided } from "./native/region/CxlMemory.ts"
import { fitted, freeBytesAt, geometryArray } from "./native/region/FreeSpace.ts"
import type { FittedSizes, SizesWanted } from "./native/region/GeometryFit.ts"
import { nativeModule } from "./native/region/NativeError.ts"
import { attach, type AttachOptions, create, type CreateOptions } from "./native/region/NativeRegion.ts"

export * from "../services/CxlMemory.ts"
export { defaultGeometry, Geometry } from "../services/schema/Geometry.ts"
export { RegionError, RegionFault } from "../services/schema/RegionError.ts"
export type { Provided } from "./native/region/CxlMemory.ts"
export type { FittedSizes, ShrinkableSize, SizesWanted } from "./native/region/GeometryFit.ts"
export { type AttachOptions, type CreateOptions, NativeRegion } from "./native/region/NativeRegion.ts"

/** The path of a named region. */
export const regionPath = (region: string): string => `${shmFolder}/${regionPrefix}${region}`

/** The folder and the file prefix of named regions. */
export const shmFolder = "/dev/shm"
export const regionPrefix = "ringfence-"

/** Creates a named region in `/dev/shm`. This process owns it and removes the name when the layer's scope closes. */
export const layerShm = (options: CreateOptions & { readonly region: string }): Layer.Layer<Provided, RegionError> =>
  layerOf(
    Effect.andThen(nameUsable(options.region), create(options.region, "shm", regionPath(options.region), options))
  )

/**
 * Creates a region in a file of any file system that can be mapped, as hugetlbfs and file systems of DAX are, or on a DAX
 * device (`/dev/dax0.0`), which has one region at a time. With huge pages and devices each ring has whole pages, and with
 * a device the permissions are its administrator's: `mode` and `group` say nothing there.
 */
export const layerFile = (options: CreateOptions & { readonly path: string }): Layer.Layer<Provided, RegionError> =>
  layerOf(Effect.andThen(pathUsable(options.path), create(options.path, "file", options.path, options)))

/** Creates a region without a name, for this process alone. */
export const layerAnonymous = (options: CreateOptions = {}): Layer.Layer<Provided, RegionError> =>
  layerOf(create("anonymous", "anonymous", "", options))

/** Attaches to a region that another process created, after checking that it is complete and of this version. */
export const layerAttach = (
  options: ({ readonly region: string } | { readonly path: string }) & AttachOptions
): Layer.Layer<Provided, RegionError> =>
  "region" in options
    ? layerOf(
      Effect.andThen(nameUsable(options.region), attach(options.region, "shm", regionPath(options.region), options))
    )
    : layerOf(Effect.andThen(pathUsable(options.path), attach(options.path, "file", options.path, options)))

/** Bytes that a region of these sizes takes. */
export const regionBytes = (geometry: Partial<Geometry>): Effect.Effect<number, RegionError> =>
  Effect.flatMap(nativeModule, (native) => {
    const error = geometryError("", { ...defaultGeometry, ...geometry })
    return error === undefined ? Effect.succeed(native.layoutBytes(geometryArray(geometry))) : Effect.fail(error)
  })

/** The sizes that a region at this path would get now: sizes that are not set follow the free space there. */
export const fittedSizes = (
  path: string,
  wanted: SizesWanted
): Effect.Effect<FittedSizes & { readonly freeBytes: number }, RegionError> =>
  Effect.flatMap(nativeModule, (native) => fitted(native, path, path, wanted))

/** Free bytes of the file system of this path. */
export const freeBytes = (path: string): Effect.Effect<number, RegionError> =>
  Effect.flatMap(nativeModule, (native) => freeBytesAt(native, path, path))

/** Whether a region can have this name. */
export const nameUsable = (region: string): Effect.Effect<void, RegionError> =>
  namePattern.test(region)
    ? Effect.void
    : Effect.fail(
      new RegionError({
        fault: "invalid",
        region,
        detail: "the name is not usable",
        hint: `1 to 64 letters, digits, ".", "_" or "-", starting with a letter or digit`
      })
    )

// --- internal ---

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** The native module takes an empty path for anonymous memory. */
const pathUsable = (path: string): Effect.Effect<void, RegionError> =>
  path !== "" && !path.includes("\0")
    ? Effect.void
    : Effect.fail(
      new RegionError({ fault: "invalid", region: path, detail: "the path is not usable", hint: "name a file" })
    )
