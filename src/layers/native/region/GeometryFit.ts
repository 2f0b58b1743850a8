/**
 * Fits the sizes of a region to the free space: keeps requested sizes, and reduces the others until they fit.
 */
import { defaultGeometry, type Geometry } from "../../../services/schema/Geometry.ts"

/** The sizes that can be reduced. They limit how much is in flight at once, and the size of a record. */
export type ShrinkableSize = "laneBytes" | "batchBytes" | "laneSlots" | "indexEntries" | "ringBytes"

export interface SizesWanted {
  readonly geometry?: Partial<Geometry> | undefined
  /** Default: those that `geometry` does not give. */
  readonly shrinkable?: ReadonlyArray<ShrinkableSize> | undefined
}

export interface FittedSizes {
  readonly geometry: Geometry
  readonly bytes: number
  /** The reduced sizes, each with its value without the reduction. */
  readonly shrunk: ReadonlyArray<{ readonly size: ShrinkableSize; readonly from: number; readonly to: number }>
}

/**
 * Repeatedly halves the size that takes most, until the region takes at most half of the free bytes or all sizes are at
 * their least; the file system then decides whether there is room. A batch is at most an eighth of a lane, so either of
 * the two follows the other when only one was requested. `bytesOf` returns the bytes of a region with these sizes, a
 * negative number if they are impossible.
 */
export const fitGeometry = (
  wanted: SizesWanted,
  freeBytes: number,
  bytesOf: (geometry: Geometry) => number
): FittedSizes => {
  const asked = Object.fromEntries(Object.entries(wanted.geometry ?? {}).filter(([, size]) => size !== undefined))
  const shrinkable = new Set(wanted.shrinkable ?? shrinkableSizes.filter((size) => !(size in asked)))
  const largest = whole(asked, shrinkable)
  let geometry = largest
  while (bytesOf(geometry) > freeBytes / 2) {
    const smaller = halved(geometry, shrinkable, bytesOf)
    if (smaller === undefined) break
    geometry = smaller
  }
  return {
    geometry,
    bytes: bytesOf(geometry),
    shrunk: shrinkableSizes.filter((size) => geometry[size] < largest[size])
      .map((size) => ({ size, from: largest[size], to: geometry[size] }))
  }
}

/** The sizes whose product is the largest part of the region: reducing any of them reduces it most. */
export const largestPart = (
  geometry: Geometry,
  bytesOf: (geometry: Geometry) => number
): { readonly sizes: ReadonlyArray<keyof Geometry>; readonly bytes: number } => {
  const whole = bytesOf(geometry)
  const partBytes = (size: Halved): number => {
    const half = bytesOf({ ...geometry, [size]: geometry[size] / 2 })
    // The size is already the least possible: measure by doubling instead.
    return half < 0 ? bytesOf({ ...geometry, [size]: geometry[size] * 2 }) - whole : 2 * (whole - half)
  }
  const [largest = { sizes: [], bytes: 0 }] = parts
    .map((sizes) => ({ sizes, bytes: partBytes(sizes[sizes.length - 1] as Halved) }))
    .toSorted((a, b) => b.bytes - a.bytes)
  return largest
}

// --- internal ---

type Halved = Exclude<ShrinkableSize, "batchBytes">

/** The least values, in the order of reduction when two sizes take the same. */
const least: Readonly<Record<Halved, number>> = {
  indexEntries: 64,
  laneSlots: 32,
  laneBytes: 64 * 1024,
  ringBytes: 64 * 1024
}

const shrinkableSizes: ReadonlyArray<ShrinkableSize> = [
  "laneBytes",
  "batchBytes",
  "laneSlots",
  "indexEntries",
  "ringBytes"
]

/** The factors of each part of the region; the last can be halved. */
const parts: ReadonlyArray<ReadonlyArray<keyof Geometry>> = [
  ["brokers", "clients", "laneBytes"],
  ["topics", "indexEntries"],
  ["rings", "ringBytes"],
  ["brokers", "clients", "laneSlots"]
]

const batchesPerLane = 8

const whole = (asked: Partial<Geometry>, shrinkable: ReadonlySet<ShrinkableSize>): Geometry => {
  const geometry = { ...defaultGeometry, ...asked }
  const laneBytes = asked.laneBytes === undefined
    ? Math.max(geometry.laneBytes, batchesPerLane * geometry.batchBytes)
    : geometry.laneBytes
  return following({ ...geometry, laneBytes }, shrinkable)
}

const following = (geometry: Geometry, shrinkable: ReadonlySet<ShrinkableSize>): Geometry =>
  shrinkable.has("batchBytes")
    ? { ...geometry, batchBytes: Math.min(geometry.batchBytes, geometry.laneBytes / batchesPerLane) }
    : geometry

const halved = (
  geometry: Geometry,
  shrinkable: ReadonlySet<ShrinkableSize>,
  bytesOf: (geometry: Geometry) => number
): Geometry | undefined => {
  const before = bytesOf(geometry)
  const [best] = (Object.keys(least) as ReadonlyArray<Halved>)
    .filter((size) => shrinkable.has(size) && geometry[size] / 2 >= leastOf(size, geometry, shrinkable))
    .map((size) => following({ ...geometry, [size]: geometry[size] / 2 }, shrinkable))
    .map((smaller) => ({ smaller, saved: before - bytesOf(smaller) }))
    .filter(({ saved }) => saved > 0)
    .toSorted((a, b) => b.saved - a.saved)
  return best?.smaller
}

/** A lane must hold eight batches of a requested size. */
const leastOf = (size: Halved, geometry: Geometry, shrinkable: ReadonlySet<ShrinkableSize>): number =>
  size === "laneBytes" && !shrinkable.has("batchBytes")
    ? Math.max(least.laneBytes, batchesPerLane * geometry.batchBytes)
    : least[size]
