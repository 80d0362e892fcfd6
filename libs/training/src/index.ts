export { solveRidge } from './ridge-solve.js'
export {
  addProducts,
  addRows,
  decaySums,
  decodeSums,
  emptySums,
  encodeSums,
  mergeSums,
  subtractSums,
  type RidgeSums,
} from './ridge-sums.js'
