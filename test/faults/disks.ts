/**
 * A disk whose writes and syncs below some directories fail or stand still on command.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ReplicaDisk } from "../../src/layers/files/replica/ReplicaDisk.ts"
import { DiskError, type DiskFile } from "../../src/layers/ports/Disk.ts"

export interface FaultyDisk {
  readonly disk: ReplicaDisk["Service"]
  /** Writes and syncs below the directory fail with this code, until {@link FaultyDisk.heal}. */
  readonly fail: (dir: string, code: string) => void
  /** Syncs of segments below the directory stand still, until {@link FaultyDisk.heal}. */
  readonly hold: (dir: string) => void
  /** Whether a sync of a segment below the directory stands still. */
  readonly isHeld: (dir: string) => boolean
  readonly heal: (dir: string) => void
  /** Syncs of segments below the directory that have succeeded. */
  readonly syncs: (dir: string) => number
  /** Writes of segments below the directory that were asked for. */
  readonly writes: (dir: string) => number
}

export const faultyDisk = ({ disk, lock }: ReplicaDisk["Service"]): FaultyDisk => {
  const failing = new Map<string, string>()
  const held = new Map<string, Latch.Latch>()
  const standing = new Set<string>()
  const syncs = new Map<string, number>()
  const writes = new Map<string, number>()
  const countIn = (counts: Map<string, number>, path: string) => {
    if (isSegment(path)) counts.set(path, (counts.get(path) ?? 0) + 1)
  }
  const sumIn = (counts: ReadonlyMap<string, number>, dir: string) =>
    [...counts].reduce((sum, [path, count]) => path.startsWith(`${dir}/`) ? sum + count : sum, 0)
  const under = <A>(map: ReadonlyMap<string, A>, path: string): A | undefined =>
    [...map].find(([dir]) => path.startsWith(`${dir}/`))?.[1]

  const refusing = (op: "write" | "sync", path: string) =>
    Effect.suspend(() => {
      const code = under(failing, path)
      return code === undefined ? Effect.void : Effect.fail(new DiskError({ op, path, code }))
    })

  const fileOf = (file: DiskFile): DiskFile => ({
    path: file.path,
    size: file.size,
    read: file.read,
    truncate: file.truncate,
    write: (at, parts) =>
      Effect.suspend(() => {
        countIn(writes, file.path)
        return Effect.andThen(refusing("write", file.path), file.write(at, parts))
      }),
    sync: Effect.suspend(() => {
      const latch = isSegment(file.path) ? under(held, file.path) : undefined
      if (latch === undefined) return Effect.void
      standing.add(file.path)
      return Effect.andThen(latch.await, Effect.sync(() => standing.delete(file.path)))
    }).pipe(
      Effect.andThen(refusing("sync", file.path)),
      Effect.andThen(file.sync),
      Effect.tap(() => Effect.sync(() => countIn(syncs, file.path)))
    )
  })

  return {
    disk: {
      lock,
      disk: { ...disk, open: (path, mode) => Effect.map(disk.open(path, mode), fileOf) }
    },
    fail: (dir, code) => void failing.set(dir, code),
    hold: (dir) => void held.set(dir, Latch.makeUnsafe(false)),
    isHeld: (dir) => [...standing].some((path) => path.startsWith(`${dir}/`)),
    heal: (dir) => {
      failing.delete(dir)
      held.get(dir)?.openUnsafe()
      held.delete(dir)
    },
    syncs: (dir) => sumIn(syncs, dir),
    writes: (dir) => sumIn(writes, dir)
  }
}

// --- internal ---

const isSegment = (path: string): boolean => path.includes(".segment")
