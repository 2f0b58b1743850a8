import { lapsSuite } from "../suites/laps.ts"
import { losingSuite } from "../suites/losing.ts"
import { publishingSuite } from "../suites/publishing.ts"
import { readingMixesSuite } from "../suites/readingMixes.ts"
import { readingOnSuite } from "../suites/readingOn.ts"
import { subscribingSuite } from "../suites/subscribing.ts"
import { timesSuite } from "../suites/times.ts"
import { memory } from "./family.ts"

losingSuite(memory)
publishingSuite(memory)
subscribingSuite(memory)
readingOnSuite(memory)
readingMixesSuite(memory)
lapsSuite(memory)
timesSuite(memory)
