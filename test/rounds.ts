/**
 * The number of rounds of a test. Files `*.rounds.test.ts` run twice: in `npm test` with the few rounds that find a
 * broken mechanism, in `npm run test:long` with the many that find a rare moment. Other files run in one of the two.
 */
export const rounds = (few: number, many: number): number => process.env["RINGFENCE_LONG"] === undefined ? few : many

/** The same for random histories; `RINGFENCE_RUNS` overrides it. */
export const histories = (few: number, many: number): number =>
  Number(process.env["RINGFENCE_RUNS"] ?? rounds(few, many))
