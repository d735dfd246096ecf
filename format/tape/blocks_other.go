//go:build !amd64 || purego

package tape

// hasBlocks says that scanBlocks is worth its call. Here words are as good.
const hasBlocks = false

const firstWords = 0

// scanBlocks is scanString, for the rest of a document.
func scanBlocks(doc []byte, i int, found uint32) (int, uint32) { return scanTail(doc, i, found) }
