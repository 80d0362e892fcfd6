export { catalogue, type CatalogueEntry } from './catalogue.js'
export { fetchModel, type FetchOptions, type FetchProgress } from './fetch-model.js'
export { modelsDirectory, resolveModel } from './resolve-model.js'
