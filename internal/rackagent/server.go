package rackagent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// errOver means that the server has no job for this token, or none any more.
var errOver = errors.New("the server does not accept this agent's token")

const (
	callTimeout = 30 * time.Second
	// stallTimeout ends a download of which nothing arrives.
	stallTimeout = 2 * time.Minute
	// lastTries is how often a call that decides about the job is made: about an hour.
	lastTries = 120
	// rescueTries and rescueEnd limit the last report of a rescue: its tenant may have broken the
	// network, and waits for the machine to start from its drive.
	rescueTries = 8
	rescueEnd   = 2 * time.Minute
)

// retryPause returns the pause before a try: 1 s, 2 s, 4 s, and at most 30 s.
func retryPause(try int) time.Duration { return min(30*time.Second, time.Second<<min(try-1, 5)) }

// PinnedClient returns an HTTP client that talks only to the server whose certificate has the
// SHA-256.
func PinnedClient(pin string) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			ResponseHeaderTimeout: callTimeout,
			TLSHandshakeTimeout:   callTimeout,
			TLSClientConfig: &tls.Config{
				MinVersion:         tls.VersionTLS12,
				InsecureSkipVerify: true, // the pin is checked instead of names, dates and issuers
				VerifyConnection: func(c tls.ConnectionState) error {
					if len(c.PeerCertificates) == 0 || !pinned(c.PeerCertificates[0], pin) {
						return errors.New("the server's certificate is not the one that billet.pin names")
					}
					return nil
				},
			},
		},
	}
}

// Pin returns the text of billet.pin for a certificate.
func Pin(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func pinned(c *x509.Certificate, pin string) bool {
	return subtle.ConstantTimeCompare([]byte(Pin(c)), []byte(strings.ToLower(pin))) == 1
}

// job asks for the job, until there is an answer.
func (a *Agent) job(ctx context.Context) (Job, error) {
	var err error
	for try := range lastTries {
		if try > 0 {
			if err := a.Wait(ctx, retryPause(try)); err != nil {
				return Job{}, err
			}
		}
		var b []byte
		if b, err = a.call(ctx, http.MethodGet, JobPath, nil); err == nil {
			var j Job
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields() // what this agent does not know may change what is to be done
			if err = d.Decode(&j); err == nil && j.ID != "" {
				return j, nil
			}
			err = fmt.Errorf("the server's answer is not a job: %v", err)
		}
		if errors.Is(err, errOver) {
			return Job{}, err
		}
		a.say("No job yet: " + err.Error())
	}
	return Job{}, err
}

// send delivers a report, which is repeated up to a number of tries until the server has it.
func (a *Agent) send(ctx context.Context, r Report, tries int) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	for try := range tries {
		if try > 0 {
			if err := a.Wait(ctx, retryPause(try)); err != nil {
				return err
			}
		}
		if _, err = a.call(ctx, http.MethodPost, ReportsPath, body); err == nil || errors.Is(err, errOver) {
			return err
		}
		a.say("A report was not delivered: " + err.Error())
	}
	return err
}

// call makes one request to the server.
func (a *Agent) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.Parameters.URL, "/")+path,
		bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.Parameters.Token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := a.Server.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, MaxMessage))
	switch answer.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return b, err
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("%w (%d)", errOver, answer.StatusCode)
	}
	return nil, fmt.Errorf("the server answered %d", answer.StatusCode)
}

// open opens an image. The token is for our server only, and never for what a tenant calls one.
func (a *Agent) open(ctx context.Context, image Image) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, image.URL, nil)
	if err != nil {
		return nil, err
	}
	client := a.Images
	own, err := url.Parse(a.Parameters.URL)
	switch {
	case image.Tenant:
		client = a.Tenants(image.Networks)
	case err == nil && own.Host == request.URL.Host && own.Scheme == request.URL.Scheme:
		client = a.Server
		request.Header.Set("Authorization", "Bearer "+a.Parameters.Token)
	}
	request.Header.Set("Accept-Encoding", "identity") // the checksum is of the file
	answer, err := client.Do(request)
	if e, is := errors.AsType[*url.Error](err); is {
		err = e.Err // without the URL, which may have a secret
	}
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("the server of the image answered %d", answer.StatusCode)
	}
	return answer.Body, nil
}

// watchedReader cancels a download that stalls.
type watchedReader struct {
	io.Reader
	timer *time.Timer
}

func newWatchedReader(r io.Reader, cancel func()) *watchedReader {
	return &watchedReader{r, time.AfterFunc(stallTimeout, cancel)}
}

func (w *watchedReader) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.timer.Reset(stallTimeout)
	return n, err
}

func (w *watchedReader) stop() { w.timer.Stop() }
