package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

// clockFile stores how far the simulated clock is ahead of real time, so that time does not run
// backwards when the server restarts, and so that operator commands use the server's time.
const clockFile = "sim-clock.json"

type clockState struct {
	OffsetNanoseconds int64 `json:"offsetNanoseconds"`
}

// loadClock returns the server's clock: the simulated one, ahead of real, if the data directory has
// one or sim is set; else real.
func loadClock(dir string, sim bool, real clock.Clock) (clock.Clock, *clock.Simulated, error) {
	b, err := os.ReadFile(filepath.Join(dir, clockFile))
	var s clockState
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !sim {
			return real, nil, nil
		}
	case err != nil:
		return nil, nil, err
	default:
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", clockFile, err)
		}
	}
	c := clock.NewSimulatedOn(real, time.Duration(s.OffsetNanoseconds))
	return c, c, nil
}

func saveClock(dir string, offset time.Duration) error {
	b, err := json.Marshal(clockState{int64(offset)})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, clockFile), append(b, '\n'))
}

// writeFile replaces a file atomically, with mode 0600: readers see the old or the new one, also
// after a loss of power.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*") // CreateTemp's mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
