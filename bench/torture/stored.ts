/**
 * Reads all that a replica's files have of a topic, from the page that describes them, and writes it down.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { batchIn, blockAt, isWhole, kinds, preambleBytes, type StoredBlock } from "./blocks.ts"
import { nowMicros, type Write } from "./journal.ts"
import { noteRuns } from "./runs.ts"

/** Returns the position behind the last record that a reader may trust. No process writes the files meanwhile. */
export const noteStored = async (replica: string, dir: string, topic: string, write: Write): Promise<number> => {
  const folder = join(dir, "topics", topic)
  const segments = readdirSync(folder).filter((name) => name.endsWith(".segment")).toSorted()
  const at = nowMicros()
  let next: { readonly index: number; readonly position: number } | undefined
  for (const [i, name] of segments.entries()) {
    const successor = segments[i + 1]
    const below = successor === undefined ? Infinity : indexOf(successor)
    for (const batch of trusted(readFileSync(join(folder, name)))) {
      if (batch.index >= below) break
      if (next === undefined) write({ _tag: "Files", replica, position: batch.position, at })
      if (next !== undefined && (batch.index !== next.index || batch.position !== next.position)) {
        const what = `${name}: batch ${batch.index} at ${batch.position} follows ${JSON.stringify(next)}`
        write({ _tag: "Damaged", replica, what })
      }
      noteRuns(batch, write)
      next = { index: batch.index + 1, position: batch.position + batch.messageCount }
    }
    if (successor !== undefined && next?.index !== below) {
      write({
        _tag: "Damaged",
        replica,
        what: `${name} ends with batch ${(next?.index ?? 0) - 1}, not with ${below - 1}`
      })
    }
    await setImmediate()
  }
  if (next === undefined) write({ _tag: "Files", replica, position: 0, at })
  return next?.position ?? 0
}

// --- internal ---

const indexOf = (segment: string): number => Number(segment.slice(0, segment.indexOf(".")))

/** The batches of groups whose commit block is whole. */
function* trusted(bytes: Buffer): Generator<StoredBlock> {
  const salt = bytes.readUInt32LE(12)
  const header = blockAt(bytes, preambleBytes)
  if (header === undefined || !isWhole(bytes, header, salt)) return
  let group: Array<StoredBlock> = []
  for (let at = header.end;;) {
    const block = blockAt(bytes, at)
    if (block === undefined || !isWhole(bytes, block, salt)) return
    if (block.kind === kinds.batch) group.push(batchIn(bytes, block))
    else {
      if (block.kind !== kinds.commit || bytes.readUInt32LE(block.at + 56) !== group.length) return
      yield* group
      group = []
    }
    at = block.end
  }
}
