package admin

import (
	"net/http"
	"strconv"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
	maxPage         = 1 << 30 // far from where the number of an item overflows
)

// Page is a part of a list.
type Page[T any] struct {
	Items []T `json:"items"`
	// Total counts the items of all pages.
	Total int `json:"total"`
	// Page counts from 1.
	Page int `json:"page"`
	// PageSize is how many items fit.
	PageSize int `json:"page_size"`
}

// pageOf cuts the page out of a list that the query's page (default: 1) and
// page_size (default: 100, at most 1000) ask for. A page behind the last one is
// empty.
func pageOf[T any](r *http.Request, all []T) (Page[T], error) {
	number, err := positive(r, "page", 1, maxPage)
	if err != nil {
		return Page[T]{}, err
	}
	size, err := positive(r, "page_size", defaultPageSize, maxPageSize)
	if err != nil {
		return Page[T]{}, err
	}
	first := min((number-1)*size, len(all))
	last := min(first+size, len(all))
	return Page[T]{Items: append([]T{}, all[first:last]...), Total: len(all), Page: number, PageSize: size}, nil
}

// allOf is a whole list as one page.
func allOf[T any](all []T) Page[T] {
	return Page[T]{Items: append([]T{}, all...), Total: len(all), Page: 1, PageSize: max(len(all), 1)}
}

// positive reads a number from the query. A larger one than most stands for most.
func positive(r *http.Request, name string, missing, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, invalid(name, "must be a whole number from 1")
	}
	return min(n, most), nil
}
