package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// The writer's records: value n is written under keys n%writerKeys of two
// tables in one batch.
const writerKeys = 100

// runWriter opens the store, checks that every write up to the number it is
// given is there, and goes on writing, with a line for each acknowledged
// write, until it is killed or its input ends.
func runWriter(dir string, args []string) error {
	acknowledged, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("opening")
	begin := time.Now()
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	took := time.Since(begin)
	awaitVerified(s)
	if st := s.Status(); st.Degraded {
		return fmt.Errorf("degraded: %s", st.Reason)
	}
	next, err := checkWritten(s, acknowledged)
	if err != nil {
		return err
	}
	fmt.Println("ready", took)
	for ; ; next++ {
		if _, err := s.Commit(writerBatch(s, next)); err != nil {
			return err
		}
		// One system call, so that a kill never cuts a line.
		if _, err := os.Stdout.WriteString(strconv.Itoa(next) + "\n"); err != nil {
			return err
		}
	}
}

// writerBatch is write number n. Sizes vary, so that tables are written and
// some values go to the value log.
func writerBatch(s *Store, n int) *Batch {
	size := n * 7919 % 40_000
	if n%50 == 0 {
		size = 1_200_000
	}
	var b Batch
	key := strconv.Itoa(n % writerKeys)
	NewTable[note](s, "left").PutIn(&b, key, note{N: n, Text: strings.Repeat("x", size)}, Any)
	NewTable[note](s, "right").PutIn(&b, key, note{N: n}, Any)
	return &b
}

// checkWritten checks that all writes up to a number are there, whole, and
// returns the number of the next.
func checkWritten(s *Store, acknowledged int) (int, error) {
	next := acknowledged + 1
	for k := range writerKeys {
		left, _, err := NewTable[note](s, "left").Get(strconv.Itoa(k))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		right, _, err := NewTable[note](s, "right").Get(strconv.Itoa(k))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		// The newest acknowledged write to this key.
		want := acknowledged - (acknowledged-k+writerKeys)%writerKeys
		if left.N < want || left.N != right.N {
			return 0, fmt.Errorf("key %d holds writes %d and %d, acknowledged was %d", k, left.N, right.N, want)
		}
		next = max(next, left.N+1)
	}
	return next, nil
}

// runHolder holds the store open until its input ends, and writes once more
// before it closes.
func runHolder(dir string, _ []string) error {
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	notes := NewTable[note](s, "notes")
	if _, err := notes.Put("first", note{N: 1}, Any); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil {
		return errors.New("the input did not end")
	}
	if _, err := notes.Put("second", note{N: 2}, Any); err != nil {
		return err
	}
	return s.Close()
}

// damageRecords is the number of records in a store to be damaged.
const damageRecords = 60

// runFiller makes a store with files of every kind and a backup of its first
// half. With the argument "close" it closes it; else it waits to be killed.
func runFiller(dir string, args []string) error {
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := fill(s, 0, damageRecords/2); err != nil {
		return err
	}
	if _, err := s.Backup(); err != nil {
		return err
	}
	// Closing makes a table of what was written.
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(context.Background(), Options{Dir: dir}); err != nil {
		return err
	}
	if err := fill(s, damageRecords/2, damageRecords); err != nil {
		return err
	}
	if args[0] == "close" {
		return s.Close()
	}
	fmt.Println("ready")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// fill writes the records from one number up to another.
func fill(s *Store, from, to int) error {
	notes := NewTable[note](s, "notes")
	for i := from; i < to; i++ {
		size := 2000
		if i%20 == 0 {
			size = 1_200_000 // goes to the value log
		}
		if _, err := notes.Put(strconv.Itoa(i), note{N: i, Text: strings.Repeat("x", size)}, Any); err != nil {
			return err
		}
	}
	return nil
}
