package racks

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rackagent"
)

// Image returns the agent's image for one job. Readers are independent of each other.
type Image func(p rackagent.Parameters) (io.ReadSeeker, error)

// agents serves the agents and, to BMCs, their images.
type agents struct {
	rack   *rack.Service
	image  Image
	log    *slog.Logger
	bodies bodies
}

// maxBodies is how many reports are read at once. Each may have rackagent.MaxMessage bytes.
const maxBodies = 32

// bodies counts the reports that are being read, one of each token: an agent sends one at a time.
type bodies struct {
	mu     sync.Mutex
	tokens map[string]bool
}

func (b *bodies) enter(token string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens[token] || len(b.tokens) >= maxBodies {
		return false
	}
	b.tokens[token] = true
	return true
}

func (b *bodies) leave(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.tokens, token)
}

// Handler returns what serves the provisioning network: the image of a job, the job, and reports.
func Handler(s *rack.Service, image Image, log *slog.Logger) http.Handler {
	h := &agents{rack: s, image: image, log: log, bodies: bodies{tokens: map[string]bool{}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+rack.ISOPath+"{file}", h.iso) // and HEAD
	mux.HandleFunc("GET "+rackagent.JobPath, h.job)
	mux.HandleFunc("POST "+rackagent.ReportsPath, h.report)
	return mux
}

// refuse answers a call that failed. A wrong token is answered alike whatever is wrong with it.
func (h *agents) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, rack.ErrToken) {
		http.Error(w, "the token is not that of a job that runs", http.StatusForbidden)
		return
	}
	h.log.ErrorContext(r.Context(), "an agent could not be served", "error", err)
	http.Error(w, "try again", http.StatusServiceUnavailable)
}

// bearer returns the token of a request, or "".
func bearer(r *http.Request) string {
	token, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !is {
		return ""
	}
	return token
}

func (h *agents) iso(w http.ResponseWriter, r *http.Request) {
	token, is := strings.CutSuffix(r.PathValue("file"), ".iso")
	if !is {
		h.refuse(w, r, rack.ErrToken)
		return
	}
	p, err := h.rack.AgentParameters(r.Context(), token)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	image, err := h.image(p)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, image)
}

func (h *agents) job(w http.ResponseWriter, r *http.Request) {
	j, err := h.rack.AgentJob(r.Context(), bearer(r))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(j)
}

// report checks the token before it reads anything.
func (h *agents) report(w http.ResponseWriter, r *http.Request) {
	token := bearer(r)
	if err := h.rack.AgentCheck(r.Context(), token); err != nil {
		h.refuse(w, r, err)
		return
	}
	if !h.bodies.enter(token) {
		http.Error(w, "another report is being received", http.StatusServiceUnavailable)
		return
	}
	defer h.bodies.leave(token)
	var report rackagent.Report
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rackagent.MaxMessage))
	if err != nil {
		http.Error(w, "the report is too long, or was not received", http.StatusRequestEntityTooLarge)
		return
	}
	if err := json.Unmarshal(body, &report); err != nil {
		http.Error(w, "the report is not JSON of its form", http.StatusBadRequest)
		return
	}
	if err := h.rack.AgentReport(r.Context(), token, report); err != nil {
		h.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
