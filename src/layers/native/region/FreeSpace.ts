/**
 * Measures the free space for a region, and fits its sizes to it.
 */
import * as Effect from "effect/Effect"
import { statfs } from "node:fs/promises"
import { dirname } from "node:path"
import { geometryFields, type Native } from "../../../native/binding.ts"
import { defaultGeometry, type Geometry } from "../../../services/schema/Geometry.ts"
import { geometryError, RegionError } from "../../../services/schema/RegionError.ts"
import { formatBytes, formatCount } from "../../../services/text/quantities.ts"
import { fitGeometry, type FittedSizes, largestPart, type SizesWanted } from "./GeometryFit.ts"
import { attempt } from "./NativeError.ts"

/** The geometry in the form that the native module reads. */
export const geometryArray = (geometry: Partial<Geometry> | undefined): Float64Array => {
  const whole: Record<string, number> = { ...defaultGeometry, ...geometry, epochBlocks }
  return Float64Array.from(geometryFields, (field) => whole[field] ?? 0)
}

/**
 * Free bytes where a region at this path would lie: of the device, of the huge pages, or of the file system. Some file
 * systems have no limit of their own.
 */
export const freeBytesAt = (native: Native, region: string, path: string): Effect.Effect<number, RegionError> =>
  Effect.flatMap(
    attempt(region, () => native.freeBytes(path)),
    (known) => known >= 0 ? Effect.succeed(known) : freeOfFileSystem(region, path)
  )

/** The sizes of a region at this path. Anonymous memory gets them in full: it has no file system that limits it. */
export const fitted = (
  native: Native,
  region: string,
  path: string,
  wanted: SizesWanted
): Effect.Effect<FittedSizes & { readonly freeBytes: number }, RegionError> =>
  Effect.gen(function*() {
    const invalid = geometryError(region, fitGeometry(wanted, Infinity, () => 0).geometry)
    if (invalid !== undefined) return yield* invalid
    const freeBytes = path === "" ? Infinity : yield* freeBytesAt(native, region, path)
    return { ...fitGeometry(wanted, freeBytes, bytesOf(native)), freeBytes }
  })

/** The sizes that were reduced, in one line; `undefined` if none was. */
export const describeShrunk = (
  region: string,
  { bytes, freeBytes, shrunk }: FittedSizes & { readonly freeBytes: number }
): string | undefined => {
  // If even the reduced sizes do not fit, the creation fails and says so.
  if (shrunk.length === 0 || bytes > freeBytes) return undefined
  const sizes = shrunk.map(({ from, size, to }) => `${size} ${show(size, to)} instead of ${show(size, from)}`)
  return `region "${region}" is smaller than usual: ${sizes.join(", ")}; it takes ${formatBytes(bytes)} of the ${
    formatBytes(freeBytes)
  } that are free there`
}

/** The hint for a region without room: reduce the sizes that take most. */
export const noRoomFor = (native: Native, geometry: Geometry) => (error: RegionError): RegionError => {
  if (error.fault !== "noSpace") return error
  const { bytes, sizes } = largestPart(geometry, bytesOf(native))
  const hint = `free some space there, or use less: ${sizes.join(" × ")} takes ${formatBytes(bytes)} of it`
  return new RegionError({ ...error, hint, sizes })
}

// --- internal ---

const freeOfFileSystem = (region: string, path: string): Effect.Effect<number, RegionError> =>
  Effect.tryPromise({
    try: () => statfs(dirname(path)),
    catch: (error) => folderError(region, dirname(path), error as NodeJS.ErrnoException)
  }).pipe(Effect.map(({ bavail, blocks, bsize }) => blocks === 0 ? Infinity : bavail * bsize))

// The epoch that serves writes one block. The others are for its successor, and for one that dies or is stopped meanwhile.
const epochBlocks = 3

const bytesOf = (native: Native) => (geometry: Geometry): number => native.layoutBytes(geometryArray(geometry))

const show = (size: string, value: number): string => size.endsWith("Bytes") ? formatBytes(value) : formatCount(value)

const folderError = (region: string, folder: string, { code, message }: NodeJS.ErrnoException): RegionError => {
  const failed = (detail: string, hint: string) => new RegionError({ fault: "invalid", region, detail, hint })
  if (code === "ENOENT") return failed(`there is no folder ${folder}`, "create it first")
  if (code === "ENOTDIR") return failed(`${folder} is not a folder`, "choose another path")
  if (code === "EACCES") return failed(`this user has no access to ${folder}`, "choose another path")
  const detail = `cannot read the free space of ${folder}: ${message}`
  return new RegionError({ fault: "system", region, detail, hint: "" })
}
