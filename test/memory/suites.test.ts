import { lapsSuite } from "../suites/laps.ts"
import { publishingSuite } from "../suites/publishing.ts"
import { subscribingSuite } from "../suites/subscribing.ts"
import { timesSuite } from "../suites/times.ts"
import { memory } from "./family.ts"

publishingSuite(memory)
subscribingSuite(memory)
lapsSuite(memory)
timesSuite(memory)
