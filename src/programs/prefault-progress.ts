/**
 * Progress of prefaulting on a terminal: one line that redraws itself and is gone when the memory is there.
 */
import { formatBytes } from "./quantities.ts"
import { redrawNotice } from "./standard-streams.ts"

export const showPrefault = (faultedBytes: number, totalBytes: number): void =>
  redrawNotice(`prefaulting ${formatBytes(faultedBytes)} of ${formatBytes(totalBytes)}`)

export const endPrefault = (): void => redrawNotice("")
