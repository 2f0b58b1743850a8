/**
 * Rivals that are packages of the registry. They are installed where they can be, and left out where they are not.
 */

/** The package is not installed. */
export class RivalMissing extends Error {}

/** What the report says of a rival that was left out: the end of that error's message. */
export const notInstalled = "is not installed"

/** Loads a package by its name, so that the compiler does not ask for it. */
export const loadRival = async (name: string): Promise<unknown> => {
  try {
    return await import(name)
  } catch {
    throw new RivalMissing(`${name} ${notInstalled}`)
  }
}
