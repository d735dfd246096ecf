package chat

import "testing"

// TestMemoryIsZero shows that a request gets memory without anything of an earlier
// one, whatever that has left behind the length of its slices.
func TestMemoryIsZero(t *testing.T) {
	for range 10 {
		r := new(Request)
		for _, n := range []int{0, 1, 16, 17, 64, 200, 1024, 1025, 5000} {
			blocks := r.MakeBlocks(n)
			if len(blocks) != 0 || cap(blocks) < n {
				t.Fatalf("room for %d of %d", cap(blocks), n)
			}
			for i, b := range blocks[:cap(blocks)] {
				if b.Text != nil || b.Kind != Text || b.Citations != nil {
					t.Fatalf("block %d of %d is %+v", i, n, b)
				}
			}
			blocks = blocks[:cap(blocks)]
			for i := range blocks {
				blocks[i] = Block{Kind: Refusal, Text: Quote("x"), Citations: []Citation{{}}}
			}
		}
		turns, tools := r.MakeTurns(3), r.MakeTools(3)
		if turns = turns[:3]; turns[0].Blocks != nil {
			t.Fatalf("turns are %v", turns)
		}
		if tools = tools[:3]; tools[0].Name != nil {
			t.Fatalf("tools are %v", tools)
		}
		turns[0].Blocks, tools[0].Name = make([]Block, 1), Quote("f")
		r.Release()
		if r.Turns != nil || r.memory.blocks != nil {
			t.Fatal("a released request still holds memory")
		}
	}
}
