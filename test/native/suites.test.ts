import { publishingSuite } from "../suites/publishing.ts"
import { subscribingSuite } from "../suites/subscribing.ts"
import { native } from "./family.ts"

publishingSuite(native)
subscribingSuite(native)
