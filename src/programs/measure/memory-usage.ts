/**
 * What memory a process has: resident as the system counts it, and its JavaScript heap with what hangs on it.
 */
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

export const MemoryUsage = Schema.Struct({
  residentBytes: Schema.Number,
  /** Of the resident bytes: this process's alone, and not pages of a region or a file. 0 where the system does not tell. */
  anonymousBytes: Schema.Number,
  /** Of the resident bytes: pages of regions that this process has touched. */
  sharedBytes: Schema.Number,
  heapBytes: Schema.Number,
  externalBytes: Schema.Number,
  arrayBufferBytes: Schema.Number
})
export type MemoryUsage = typeof MemoryUsage.Type

export const memoryUsage = (): MemoryUsage => {
  const { arrayBuffers, external, heapUsed, rss } = process.memoryUsage()
  const status = ownStatus()
  return {
    residentBytes: rss,
    anonymousBytes: bytesIn(status, "RssAnon"),
    sharedBytes: bytesIn(status, "RssShmem"),
    heapBytes: heapUsed,
    externalBytes: external,
    arrayBufferBytes: arrayBuffers
  }
}

/** After a full collection: only what is still in use. */
export const memoryInUse = (): MemoryUsage => {
  collectGarbage()
  return memoryUsage()
}

// --- internal ---

const ownStatus = (): string => {
  try {
    return readFileSync("/proc/self/status", "utf8")
  } catch {
    return ""
  }
}

const bytesIn = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024

// The flag counts for contexts that are made from then on.
const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  // The memory of dead array buffers is given back beside the program; the next collection waits for that.
  for (let i = 0; i < 3; i += 1) collect()
}
