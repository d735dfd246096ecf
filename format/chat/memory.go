package chat

import "sync"

// memory is where the blocks, turns and tools of a request are. It is used again
// for other requests: a conversation of 100 KB has as much of it.
type memory struct {
	blocks []*[]Block
	turns  []*[]Turn
	tools  []*[]Tool
}

// sizes are how many values the pieces of memory hold that are kept for other
// requests. What is larger is left to the garbage collector.
var sizes = [...]int{16, 64, 256, 1024}

// pools keep pieces of memory, one pool for each size. All values in them are
// zero.
type pools [len(sizes)]sync.Pool

var (
	blockPools pools
	turnPools  pools
	toolPools  pools
)

// MakeBlocks returns an empty slice for n blocks, or more, that belongs to the
// request until it is released. The values behind its length are zero.
func (r *Request) MakeBlocks(n int) []Block { return take(&blockPools, &r.memory.blocks, n) }

// MakeTurns is MakeBlocks for turns.
func (r *Request) MakeTurns(n int) []Turn { return take(&turnPools, &r.memory.turns, n) }

// MakeTools is MakeBlocks for tools.
func (r *Request) MakeTools(n int) []Tool { return take(&toolPools, &r.memory.tools, n) }

// Release gives back the memory of the request, which must not be used any more;
// nor may anything that was made of it, but for bodies. It need not be called.
func (r *Request) Release() {
	give(&blockPools, r.memory.blocks)
	give(&turnPools, r.memory.turns)
	give(&toolPools, r.memory.tools)
	*r = Request{}
}

// take returns memory for n values and notes it in taken.
func take[T any](p *pools, taken *[]*[]T, n int) []T {
	for i, size := range sizes {
		if n > size {
			continue
		}
		piece, ok := p[i].Get().(*[]T)
		if !ok {
			made := make([]T, 0, size)
			piece = &made
		}
		*taken = append(*taken, piece)
		return *piece
	}
	return make([]T, 0, n)
}

// give clears pieces of memory and puts them into their pools.
func give[T any](p *pools, taken []*[]T) {
	for _, piece := range taken {
		clear((*piece)[:cap(*piece)])
		for i, size := range sizes {
			if size == cap(*piece) {
				p[i].Put(piece)
			}
		}
	}
}
