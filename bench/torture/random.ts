/** A whole number from 0 to below `below`, the next of those that the seed determines. */
export type Choose = (below: number) => number

/** The same choices for the same seed (a linear congruential generator). */
export const chooser = (seed: number): Choose => {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
