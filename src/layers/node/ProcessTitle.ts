/** The default name of this process, as other processes see it. */
export const processTitle = (): string => {
  const program = process.argv[1]?.split("/").at(-1) ?? process.title
  return program.replace(/\.[a-z]+$/, "").slice(0, 31)
}
