/**
 * The disk of this machine.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { type Disk, DiskError, type DiskFile, type DiskOperation, type OpenMode } from "../ports/Disk.ts"

/** Files are created for their owner alone: they hold what the log holds. */
export const nodeDisk: Disk = {
  open: (path, mode) =>
    Effect.acquireRelease(
      call<number>("open", path, (done) => fs.open(path, flags[mode], 0o600, done)),
      (fd) => Effect.ignore(call<void>("open", path, (done) => fs.close(fd, done)))
    ).pipe(Effect.map((fd) => fileOf(path, fd))),
  list: (path) => call("list", path, (done) => fs.readdir(path, done)),
  makeDirectory: (path) =>
    call<void>("make directory", path, (done) => fs.mkdir(path, { mode: 0o700 }, done)).pipe(
      Effect.catchIf(({ code }) => code === "EEXIST", () => Effect.void)
    ),
  rename: (from, to) => call("rename", from, (done) => fs.rename(from, to, done)),
  remove: (path) => call("remove", path, (done) => fs.unlink(path, done)),
  syncDirectory: (path) =>
    Effect.scoped(
      Effect.flatMap(
        Effect.acquireRelease(
          call<number>("sync directory", path, (done) => fs.open(path, fs.constants.O_RDONLY, done)),
          (fd) => Effect.ignore(call<void>("sync directory", path, (done) => fs.close(fd, done)))
        ),
        (fd) => call<void>("sync directory", path, (done) => fs.fsync(fd, done))
      )
    )
}

// --- internal ---

const { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants

const flags: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT | O_TRUNC
}

const fileOf = (path: string, fd: number): DiskFile => ({
  path,
  size: Effect.map(call<fs.Stats>("size", path, (done) => fs.fstat(fd, done)), ({ size }) => size),
  read: (at, into) => read(path, fd, at, into),
  write: (at, parts) => write(path, fd, at, parts),
  sync: call<void>("sync", path, (done) => fs.fdatasync(fd, done)),
  truncate: (size) => call<void>("truncate", path, (done) => fs.ftruncate(fd, size, done))
})

type Done<A> = (error: NodeJS.ErrnoException | null, value?: A) => void

/** Not to be interrupted: the system uses the buffers until it has answered. */
const call = <A>(op: DiskOperation, path: string, start: (done: Done<A>) => void): Effect.Effect<A, DiskError> =>
  Effect.uninterruptible(Effect.callback<A, DiskError>((resume) => {
    start((error, value) =>
      resume(
        error ? Effect.fail(new DiskError({ op, path, code: error.code ?? error.message })) : Effect.succeed(value as A)
      )
    )
  }))

const read = (path: string, fd: number, at: number, into: Uint8Array): Effect.Effect<number, DiskError> =>
  Effect.gen(function*() {
    let filled = 0
    while (filled < into.length) {
      const count = yield* call<number>(
        "read",
        path,
        (done) => fs.read(fd, into, filled, into.length - filled, at + filled, done)
      )
      if (count === 0) break
      filled += count
    }
    return filled
  })

/** The system may write less than it was given, for example when the disk is nearly full: then the rest follows. */
const write = (
  path: string,
  fd: number,
  at: number,
  parts: ReadonlyArray<Uint8Array>
): Effect.Effect<void, DiskError> =>
  Effect.gen(function*() {
    let place = at
    let rest = parts.filter(({ length }) => length > 0)
    while (rest.length > 0) {
      const count = yield* call<number>("write", path, (done) => fs.writev(fd, rest, place, done))
      place += count
      rest = behind(rest, count)
    }
  })

/** The parts without their first bytes. */
const behind = (parts: ReadonlyArray<Uint8Array>, count: number): Array<Uint8Array> => {
  let skipped = count
  return parts.flatMap((part) => {
    const cut = Math.min(skipped, part.length)
    skipped -= cut
    return cut === part.length ? [] : [part.subarray(cut)]
  })
}
