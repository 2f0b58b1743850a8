/**
 * The disk of replicas under torture: loaded ahead of `ringfence replica` and `ringfence serve --restore`, it stands
 * between their calls of the file system and the real one, for the files of the directories in its job. It writes down
 * which records a real sync has brought to the disk, ahead of the process that waits for it; and it is full, fails, is
 * slow or stands still on command.
 *
 *     ringfence ─► node:fs ─► this module ─► the file system
 *
 * It knows a file by its bytes alone, as docs/file-format.md has them.
 */
import * as Schema from "effect/Schema"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { noReach, type Reach, reachWith } from "./blocks.ts"
import { type DiskFault, DiskJob, diskVariable, type Met } from "./jobs.ts"
import { journalTo, nowMicros, type Write } from "./journal.ts"

type Done<A = void> = (error: NodeJS.ErrnoException | null, value?: A) => void

const real = { ...fs }
const job = Schema.decodeUnknownSync(Schema.fromJsonString(DiskJob))(process.env[diskVariable])
const disks = job.replicas.map(({ dir, journal, name }) => ({ name, dir, write: journalTo(journal) }))

let fault: DiskFault = { kind: "none" }
/** What waits for a disk that stands still. */
let waiting: Array<() => void> = []

process.on("message", (message: DiskFault) => {
  fault = message
  const released = waiting
  waiting = []
  for (const go of released) go()
})
process.on("disconnect", () => process.exit(1))
process.channel?.unref()

/** An open segment of a replica. */
interface Open {
  readonly replica: string
  readonly write: Write
  /** Where its last written byte lies, and the last that was synced. */
  size: number
  synced: number
  /** What is written, since it was opened or a sync failed. */
  written: Reach
}

const open = new Map<number, Open>()
const directories = new Map<number, string>()
/** Records that are durable once the directory of their segment is. */
const unnamed = new Map<string, { readonly disk: Open; readonly position: number }>()

const met = (): void => {
  process.send?.({ met: fault.kind } satisfies Met)
}

const errorOf = (code: string, syscall: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: ${syscall}, by the torture`), { code, syscall })

const tell = (disk: Open, position: number): void =>
  disk.write({ _tag: "Synced", replica: disk.replica, position, at: nowMicros() })

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

const replaced: Partial<typeof fs> = {}

replaced.open = ((path: string, flags: number, mode: number, done: Done<number>) => {
  // The directory of a new segment is opened to be synced with two arguments or three.
  const callback = typeof mode === "function" ? mode as Done<number> : done
  real.open(path, flags, typeof mode === "function" ? undefined : mode, (error, fd) => {
    const found = disks.find(({ dir }) => path.startsWith(`${dir}/`) || path === dir)
    if (error === null && found !== undefined) {
      const isWritten = (flags & (fs.constants.O_RDWR | fs.constants.O_WRONLY)) !== 0
      if (!path.includes(".segment")) directories.set(fd, path)
      else if (isWritten) {
        const { name, write } = found
        open.set(fd, { replica: name, write, size: 0, synced: 0, written: noReach })
        if (path.endsWith(".creating")) paths.set(fd, path)
      }
    }
    callback(error, fd)
  })
}) as typeof fs.open

/** Of new segments: the name under which they were created. */
const paths = new Map<number, string>()

replaced.close = ((fd: number, done: Done) => {
  open.delete(fd)
  paths.delete(fd)
  directories.delete(fd)
  real.close(fd, done)
}) as typeof fs.close

replaced.writev = ((fd: number, parts: ReadonlyArray<Buffer>, place: number, done: Done<number>) => {
  const disk = open.get(fd)
  if (disk === undefined) return real.writev(fd, parts, place, done)
  const bytes = Buffer.concat(parts)
  if (fault.kind === "failing" && fault.op === "write") {
    met()
    return setImmediate(done, errorOf("EIO", "write"))
  }
  if (fault.kind === "full" && bytes.length > fault.freeBytes) {
    met()
    const { freeBytes } = fault
    if (freeBytes === 0) return setImmediate(done, errorOf("ENOSPC", "write"))
    // As much as there is room for: the rest is refused when it is tried.
    fault = { kind: "full", freeBytes: 0 }
    return real.writev(fd, [bytes.subarray(0, freeBytes)], place, done)
  }
  if (fault.kind === "full") fault = { kind: "full", freeBytes: fault.freeBytes - bytes.length }
  real.writev(fd, parts, place, (error, count) => {
    if (error === null) {
      disk.size = Math.max(disk.size, place + count)
      if (count === bytes.length) disk.written = reachWith(bytes, disk.written)
    }
    done(error, count)
  })
}) as typeof fs.writev

const reallySync = (fd: number, disk: Open, done: Done): void => {
  if (job.plant === "unsynced") return void setImmediate(done, null)
  const { size, written: { groups } } = disk
  real.fdatasync(fd, (error) => {
    if (error === null) {
      disk.synced = size
      const path = paths.get(fd)
      if (groups !== undefined && path !== undefined) unnamed.set(path, { disk, position: groups })
      else if (groups !== undefined) tell(disk, groups)
    }
    done(error)
  })
}

/** As the system does that could not write: what was not synced reads as zeros, and the error is told once. */
const failSync = (fd: number, disk: Open, done: Done): void => {
  met()
  const lost = Buffer.alloc(Math.max(0, disk.size - disk.synced))
  disk.written = noReach
  real.write(fd, lost, 0, lost.length, disk.synced, () => done(errorOf("EIO", "fdatasync")))
}

replaced.fdatasync = ((fd: number, done: Done) => {
  const disk = open.get(fd)
  if (disk === undefined) return real.fdatasync(fd, done)
  if (fault.kind === "stuck") {
    met()
    return void waiting.push(() => replaced.fdatasync!(fd, done))
  }
  if (fault.kind === "slow") {
    met()
    return void setTimeout(reallySync, fault.millis, fd, disk, done)
  }
  if (fault.kind === "failing" && fault.op === "sync") return failSync(fd, disk, done)
  reallySync(fd, disk, done)
}) as typeof fs.fdatasync

replaced.rename = ((from: string, to: string, done: Done) => {
  if (job.plant === "cursor" && to.endsWith("/cursors.json") && fs.existsSync(to)) return real.unlink(from, done)
  if (to.endsWith("/manifest.json")) isRestored = true
  real.rename(from, to, (error) => {
    const found = unnamed.get(from)
    if (error === null && found !== undefined) {
      unnamed.delete(from)
      unnamed.set(`${folderOf(to)}/`, found)
    }
    done(error)
  })
}) as typeof fs.rename

replaced.fsync = ((fd: number, done: Done) => {
  const directory = directories.get(fd)
  real.fsync(fd, (error) => {
    const found = directory === undefined ? undefined : unnamed.get(`${directory}/`)
    if (error === null && found !== undefined) {
      unnamed.delete(`${directory}/`)
      tell(found.disk, found.position)
      for (const [at, disk] of open) if (disk === found.disk) paths.delete(at)
    }
    done(error)
  })
}) as typeof fs.fsync

replaced.ftruncate = ((fd: number, size: number, done: Done) => {
  const cut = job.plant === "cut" && open.has(fd) ? Math.max(0, size - commitBytes) : size
  real.ftruncate(fd, cut, done)
}) as typeof fs.ftruncate

/** Of a commit block. */
const commitBytes = 64

/** A restore ends with the manifest of its term. */
let isRestored = false

// The last segment of each topic is not seen by the restore: the log goes on where the one before it ends.
replaced.readdir = ((path: string, done: Done<ReadonlyArray<string>>) =>
  real.readdir(path, (error, names) => {
    const segments = (names ?? []).filter((name) => name.endsWith(".segment")).toSorted()
    const hidden = job.plant === "reused" && !isRestored && segments.length > 1 ? segments.at(-1) : undefined
    done(error, names?.filter((name) => name !== hidden))
  })) as typeof fs.readdir

Object.assign(fs, replaced)
syncBuiltinESMExports()
