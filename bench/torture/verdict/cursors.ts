/**
 * The verdict on the named cursor: where each of its holders began, against what those before it had committed.
 */
import type { Faults } from "./promises.ts"
import type { Segment } from "./segments.ts"

/** Segments of holders in the order in which they held it. */
export const checkCursor = (segments: ReadonlyArray<Segment>, faults: Faults): void => {
  let region: string | undefined
  let [committed, durable, asked, delivered] = [0, 0, 0, 0]
  for (const segment of segments.filter(isHolder)) {
    // What was committed and not durable may be lost with the memory.
    if (segment.region !== region) committed = durable
    region = segment.region
    for (const entry of segment.entries) {
      switch (entry._tag) {
        case "Attached": {
          const { position } = entry
          if (position < committed) {
            faults.note("cursor", `${segment.process} began at ${position}, behind ${committed}`)
          }
          if (position > asked) {
            faults.note("skipped", `${segment.process} began at ${position}, and ${asked} was committed`)
          }
          committed = Math.max(committed, position)
          delivered = position
          break
        }
        case "Run":
          delivered = entry.position + entry.records
          break
        case "Committing":
          if (entry.position > delivered) {
            faults.note("skipped", `${segment.process} commits ${entry.position}, and has read to ${delivered}`)
          }
          asked = Math.max(asked, entry.position)
          break
        case "Committed":
          committed = Math.max(committed, entry.position)
          if (entry.durable) durable = Math.max(durable, entry.position)
          break
      }
    }
  }
}

// --- internal ---

const isHolder = ({ entries }: Segment): boolean =>
  entries.some((entry) => entry._tag === "Attached" && entry.isolation === "durable" && entry.lag === undefined)
