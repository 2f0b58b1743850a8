/**
 * A disk in this heap that crashes, fails, fills up and waits on command: the executable specification of the port, with
 * everything that a real disk may do at its worst.
 *
 * Directories must be synced for their names, files for their bytes. A crash of the process loses nothing; a loss of
 * power loses what was not synced, in any combination.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { type Disk, DiskError, type DiskFile, type DiskOperation, type OpenMode } from "../../ports/Disk.ts"
import { type Random, SimulatedFile } from "./SimulatedFile.ts"

/** The outcome of one operation: nothing special, an error code, or the end of the process that calls it. */
export type Fate = undefined | string | "crash"

type Entry = SimulatedFile | "directory"

/** A change of names: it survives a loss of power as a whole or not at all. */
type Renaming = ReadonlyArray<readonly [path: string, entry: Entry | undefined]>

export interface SimulatedDiskOptions {
  readonly random: Random
  /** Bytes that fit on the disk. Default: no bound. */
  readonly bytes?: number | undefined
}

export class SimulatedDisk implements Disk {
  readonly #random: Random
  #bytes: number
  #seen = new Map<string, Entry>([["", "directory"]])
  #durable = new Map<string, Entry>([["", "directory"]])
  #pending: Array<{ readonly dirs: ReadonlySet<string>; readonly renaming: Renaming }> = []
  /** Handles of processes that have ended do nothing any more. */
  #life = 0
  /** Operations wait here while it is closed. */
  readonly #gate = Latch.makeUnsafe(true)
  /** Decides about each operation before it is done. A test sets it. */
  fate: (op: DiskOperation, path: string) => Fate = () => undefined

  constructor({ bytes = Infinity, random }: SimulatedDiskOptions) {
    this.#random = random
    this.#bytes = bytes
  }

  /** All operations wait from now on, as on a disk that hangs. */
  readonly hold: Effect.Effect<void> = Effect.suspend(() => this.#gate.close)
  readonly resume: Effect.Effect<void> = Effect.suspend(() => this.#gate.open)

  /** Gives a full disk more room. */
  enlarge(bytes: number): void {
    this.#bytes += bytes
  }

  /** The process that uses the disk ends. Everything that it wrote is still there for the next one. */
  endProcess(): void {
    this.#life += 1
  }

  /** The machine stops. What was not synced is there afterwards, or not, or in part. */
  losePower(): void {
    this.#life += 1
    for (const { renaming } of this.#pending) if (this.#random() < 0.5) rename(this.#durable, renaming)
    this.#pending = []
    this.#seen = new Map([...this.#durable].filter(([path]) => hasParents(this.#durable, path)))
    this.#durable = new Map(this.#seen)
    for (const file of this.#files()) file.losePower(this.#random)
  }

  /** Changes bytes behind everybody's back, as a failing medium does. */
  damage(path: string, at: number, bytes: Uint8Array): void {
    const file = this.#file(path)
    file.write(at, bytes)
    file.sync()
  }

  readonly open = (path: string, mode: OpenMode) =>
    Effect.map(
      this.#operation("open", path, () => {
        const found = this.#seen.get(path)
        if (mode === "create") return this.#create(path)
        if (found === undefined) throw new Refused("ENOENT")
        if (found === "directory") throw new Refused("EISDIR")
        return found
      }),
      (file) => this.#handle(path, file)
    )

  readonly list = (path: string) =>
    this.#operation("list", path, () => {
      if (this.#seen.get(path) !== "directory") throw new Refused("ENOENT")
      return [...this.#seen.keys()].filter((name) => name !== path && parentOf(name) === path).map(nameOf)
    })

  readonly makeDirectory = (path: string) =>
    this.#operation("make directory", path, () => {
      if (this.#seen.has(path)) return
      this.#inDirectory(path)
      this.#rename([[path, "directory"]])
    })

  readonly rename = (from: string, to: string) =>
    this.#operation("rename", from, () => {
      if (!this.#seen.has(from)) throw new Refused("ENOENT")
      this.#inDirectory(to)
      const moved = [...this.#seen].filter(([path]) => path === from || path.startsWith(`${from}/`))
      this.#rename(moved.flatMap(([path, entry]) => [
        [path, undefined] as const,
        [to + path.slice(from.length), entry] as const
      ]))
    })

  readonly remove = (path: string) =>
    this.#operation("remove", path, () => {
      if (!(this.#seen.get(path) instanceof SimulatedFile)) throw new Refused("ENOENT")
      this.#rename([[path, undefined]])
    })

  readonly syncDirectory = (dir: string) => {
    const path = dir === "/" ? "" : dir
    return this.#operation("sync directory", path, () => {
      if (this.#seen.get(path) !== "directory") throw new Refused("ENOENT")
      for (const { dirs, renaming } of this.#pending) if (dirs.has(path)) rename(this.#durable, renaming)
      this.#pending = this.#pending.filter(({ dirs }) => !dirs.has(path))
    })
  }

  /** Runs an operation by its fate. The operations of a process that has ended do nothing, and never return. */
  #operation<A>(op: DiskOperation, path: string, run: () => A, half?: () => void): Effect.Effect<A, DiskError> {
    return Effect.suspend(() => {
      const life = this.#life
      return Effect.andThen(
        this.#gate.await,
        Effect.suspend((): Effect.Effect<A, DiskError> => {
          if (life !== this.#life) return ended
          const fate = this.fate(op, path)
          if (fate === "crash") {
            if (this.#random() < 0.5) half?.()
            this.endProcess()
            return ended
          }
          if (fate !== undefined) {
            half?.()
            return Effect.fail(new DiskError({ op, path, code: fate }))
          }
          return Effect.try({ try: run, catch: (error) => refusal(op, path, error) })
        })
      )
    })
  }

  #handle(path: string, file: SimulatedFile): DiskFile {
    const life = this.#life
    const operation = <A>(op: DiskOperation, run: () => A, half?: () => void): Effect.Effect<A, DiskError> =>
      Effect.suspend(() => life === this.#life ? this.#operation(op, path, run, half) : ended)
    return {
      path,
      size: operation("size", () => file.size),
      read: (at, into) => operation("read", () => file.read(at, into)),
      write: (at, parts) => this.#write(operation, file, at, parts),
      sync: operation("sync", () => file.sync(), () => file.dropPending(this.#random)),
      truncate: (size) => operation("truncate", () => file.truncate(size))
    }
  }

  #write(
    operation: (op: DiskOperation, run: () => void, half: () => void) => Effect.Effect<void, DiskError>,
    file: SimulatedFile,
    at: number,
    parts: ReadonlyArray<Uint8Array>
  ): Effect.Effect<void, DiskError> {
    const bytes = Uint8Array.from(Buffer.concat(parts))
    const some = (most: number) => file.write(at, bytes.subarray(0, Math.floor(this.#random() * most)))
    return operation("write", () => {
      const room = this.#bytes - this.#used() + file.size
      if (at + bytes.length > room) {
        some(Math.max(0, room - at))
        throw new Refused("ENOSPC")
      }
      file.write(at, bytes)
    }, () => some(bytes.length))
  }

  #create(path: string): SimulatedFile {
    this.#inDirectory(path)
    const file = new SimulatedFile()
    this.#rename([[path, file]])
    return file
  }

  #inDirectory(path: string): void {
    if (this.#seen.get(parentOf(path)) !== "directory") throw new Refused("ENOENT")
  }

  #rename(renaming: Renaming): void {
    rename(this.#seen, renaming)
    this.#pending.push({ dirs: new Set(renaming.map(([path]) => parentOf(path))), renaming })
  }

  #file(path: string): SimulatedFile {
    const file = this.#seen.get(path)
    if (!(file instanceof SimulatedFile)) throw new Error(`there is no file ${path}`)
    return file
  }

  #files(): ReadonlyArray<SimulatedFile> {
    return [...this.#seen.values()].filter((entry) => entry instanceof SimulatedFile)
  }

  #used(): number {
    return this.#files().reduce((sum, { size }) => sum + size, 0)
  }
}

/** How the operations of a process end that is no more: a test tells it from every failure. */
export class ProcessEnded extends Error {}

// --- internal ---

class Refused extends Error {}

const ended = Effect.die(new ProcessEnded("the simulated process has ended"))

const refusal = (op: DiskOperation, path: string, error: unknown): DiskError => {
  if (!(error instanceof Refused)) throw error
  return new DiskError({ op, path, code: error.message })
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

const hasParents = (entries: ReadonlyMap<string, Entry>, path: string): boolean =>
  path === "" || (entries.get(parentOf(path)) === "directory" && hasParents(entries, parentOf(path)))

const rename = (entries: Map<string, Entry>, renaming: Renaming): void => {
  for (const [path, entry] of renaming) {
    if (entry === undefined) entries.delete(path)
    else entries.set(path, entry)
  }
}
