/**
 * A clock that all processes of this machine share: it counts from the machine's start and never jumps.
 */
export const monotonicMillis = (): number => Number(process.hrtime.bigint()) / 1e6
