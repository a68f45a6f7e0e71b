//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// modulesDir has the image's kernel modules, with depmod's lists.
const modulesDir = "/modules"

// modules loads the kernel modules of the devices that the machine has.
type modules struct {
	say     func(string)
	loaded  map[string]bool // by file, including those that failed
	aliases [][2]string     // pattern, name
	files   map[string]string
	needs   map[string][]string // files by file
}

// load loads what is missing, until no new device appears.
func (m *modules) load() {
	if m.files == nil {
		m.read()
	}
	for m.loadOnce() {
	}
}

func (m *modules) loadOnce() (more bool) {
	for alias := range deviceAliases() {
		for _, a := range m.aliases {
			if fits, _ := path.Match(a[0], alias); !fits {
				continue
			}
			if file := m.files[a[1]]; file != "" && !m.loaded[file] {
				m.insert(file)
				more = true
			}
		}
	}
	return more
}

// insert loads a module after those that it needs. depmod lists these in reverse order.
func (m *modules) insert(file string) {
	if m.loaded[file] {
		return
	}
	m.loaded[file] = true
	needs := m.needs[file]
	for i := len(needs) - 1; i >= 0; i-- {
		m.insert(needs[i])
	}
	f, err := os.Open(filepath.Join(modulesDir, file))
	if err == nil {
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		m.say(fmt.Sprintf("The kernel module %s was not loaded: %v", path.Base(file), err))
	}
}

// deviceAliases returns the texts by which devices name their drivers.
func deviceAliases() map[string]bool {
	aliases := map[string]bool{}
	_ = filepath.WalkDir("/sys/devices", func(at string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "modalias" {
			if b, err := os.ReadFile(at); err == nil {
				aliases[strings.TrimSpace(string(b))] = true
			}
		}
		return nil
	})
	return aliases
}

func (m *modules) read() {
	m.files, m.needs = map[string]string{}, map[string][]string{}
	lines("modules.dep", func(line string) {
		file, needs, _ := strings.Cut(line, ":")
		name, _, _ := strings.Cut(path.Base(file), ".ko")
		m.files[strings.ReplaceAll(name, "-", "_")] = file
		m.needs[file] = strings.Fields(needs)
	})
	lines("modules.alias", func(line string) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			m.aliases = append(m.aliases, [2]string{f[1], strings.ReplaceAll(f[2], "-", "_")})
		}
	})
}

func lines(name string, f func(string)) {
	file, err := os.Open(filepath.Join(modulesDir, name))
	if err != nil {
		return
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		f(s.Text())
	}
}
