package handler

import "net/http"

// superseded tells the client of a config that is no longer in force to make its next
// request on a new connection, which leads to the one that is. Servers tell most
// clients when they shut down, but not one whose HTTP/2 connection was still in its
// handshake: as long as it has a request under way it would stay with the old config,
// however long that is. In HTTP/2 the field becomes a GOAWAY.
func (h *Handler) superseded(header http.Header) {
	select {
	case <-h.over:
		header.Set("Connection", "close")
	default:
	}
}
