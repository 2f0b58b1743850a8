import { lapsSuite } from "../suites/laps.ts"
import { losingSuite } from "../suites/losing.ts"
import { publishingSuite } from "../suites/publishing.ts"
import { readingMixesSuite } from "../suites/readingMixes.ts"
import { readingOnSuite } from "../suites/readingOn.ts"
import { subscribingSuite } from "../suites/subscribing.ts"
import { timesSuite } from "../suites/times.ts"
import { native } from "./family.ts"

losingSuite(native)
publishingSuite(native)
subscribingSuite(native)
readingOnSuite(native)
readingMixesSuite(native)
lapsSuite(native)
timesSuite(native)
