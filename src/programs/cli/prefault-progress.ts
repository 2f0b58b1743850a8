/**
 * Shows the progress of prefaulting on a terminal: one line that redraws itself and is erased at the end.
 */
import { redrawNotice } from "./streams.ts"
import { formatBytes } from "./units.ts"

export const showPrefault = (faultedBytes: number, totalBytes: number): void =>
  redrawNotice(`prefaulting ${formatBytes(faultedBytes)} of ${formatBytes(totalBytes)}`)

export const endPrefault = (): void => redrawNotice("")
