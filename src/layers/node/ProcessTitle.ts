/** The name that other processes see of this one, unless it is given another. */
export const processTitle = (): string => {
  const program = process.argv[1]?.split("/").at(-1) ?? process.title
  return program.replace(/\.[a-z]+$/, "").slice(0, 31)
}
