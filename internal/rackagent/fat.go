package rackagent

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

// noCloudSize is the size of the NoCloud partition in bytes.
const noCloudSize = 4 * mebibyte

// maxConfig limits the files of the NoCloud partition, in bytes together.
const maxConfig = 1 << 20

// noCloud returns a FAT12 file system with the label CIDATA and cloud-init's three files. FAT has
// the drive's sector size; ISO 9660 cannot be read from a drive with sectors of 4096 bytes.
func noCloud(c Config, sector int) ([]byte, error) {
	if len(c.MetaData)+len(c.UserData)+len(c.NetworkConfig) > maxConfig {
		return nil, errors.New("the files of the NoCloud partition have more than 1 MiB together")
	}
	f := newFAT(sector)
	f.add("meta-data", "META-D~1   ", c.MetaData)
	f.add("user-data", "USER-D~1   ", c.UserData)
	if c.NetworkConfig != "" {
		f.add("network-config", "NETWOR~1   ", c.NetworkConfig)
	}
	return f.disk, nil
}

const (
	fatRootEntries = 512
	fatClusterSize = 4096 // bytes
)

// fat is a FAT12 file system in memory: one boot sector, two tables, the root directory, clusters.
type fat struct {
	disk      []byte
	sector    int
	table     int // offset of the first table
	tableSize int
	root      int // offset of the root directory
	data      int // offset of cluster 2
	entries   int // used in the root directory
	nextFree  int // cluster
}

func newFAT(sector int) *fat {
	f := &fat{disk: make([]byte, noCloudSize), sector: sector, nextFree: 2}
	clusters := noCloudSize / fatClusterSize // a little more than there are
	f.tableSize = ((clusters+2)*3/2 + sector) / sector * sector
	f.table = sector
	f.root = f.table + 2*f.tableSize
	f.data = f.root + fatRootEntries*32
	b := f.disk
	copy(b, []byte{0xEB, 0x3C, 0x90})
	copy(b[3:], "BILLET  ")
	binary.LittleEndian.PutUint16(b[11:], uint16(sector)) // 512 to 4096
	b[13] = byte(fatClusterSize / sector)
	binary.LittleEndian.PutUint16(b[14:], 1) // reserved
	b[16] = 2                                // tables
	binary.LittleEndian.PutUint16(b[17:], fatRootEntries)
	binary.LittleEndian.PutUint16(b[19:], uint16(noCloudSize/sector)) // at most 8192
	b[21] = 0xF8                                                      // a fixed disk
	binary.LittleEndian.PutUint16(b[22:], uint16(f.tableSize/sector)) // small
	binary.LittleEndian.PutUint16(b[24:], 32)                         // sectors per track
	binary.LittleEndian.PutUint16(b[26:], 2)                          // heads
	b[36], b[38] = 0x80, 0x29
	copy(b[39:], "BILT")
	copy(b[43:], "CIDATA     FAT12   ")
	b[510], b[511] = 0x55, 0xAA
	f.link(0, 0xFF8)
	f.link(1, 0xFFF)
	label := f.entry()
	copy(label, "CIDATA     ")
	label[11] = 0x08
	return f
}

// entry returns the next entry of the root directory.
func (f *fat) entry() []byte {
	at := f.root + f.entries*32
	f.entries++
	return f.disk[at : at+32]
}

// link sets a cluster's entry of both tables.
func (f *fat) link(cluster, next int) {
	for copyAt := f.table; copyAt < f.root; copyAt += f.tableSize {
		at := copyAt + cluster*3/2
		pair := binary.LittleEndian.Uint16(f.disk[at:])
		if cluster%2 == 0 {
			pair = pair&0xF000 | uint16(next) // 12 bits
		} else {
			pair = pair&0x000F | uint16(next)<<4 // 12 bits
		}
		binary.LittleEndian.PutUint16(f.disk[at:], pair)
	}
}

// add adds a file with a long name and the short name of 8 and 3 characters.
func (f *fat) add(name, short, content string) {
	f.longName(name, short)
	e := f.entry()
	copy(e, short)
	e[11] = 0x20
	const date = (2026-1980)<<9 | 1<<5 | 1 // the same for all: the files are about no time
	for _, at := range []int{16, 18, 24} {
		binary.LittleEndian.PutUint16(e[at:], date)
	}
	binary.LittleEndian.PutUint32(e[28:], uint32(len(content))) // limited by maxConfig
	if content == "" {
		return
	}
	binary.LittleEndian.PutUint16(e[26:], uint16(f.nextFree)) // 12 bits
	copy(f.disk[f.data+(f.nextFree-2)*fatClusterSize:], content)
	for rest := len(content); rest > 0; rest -= fatClusterSize {
		next := f.nextFree + 1
		if rest <= fatClusterSize {
			next = 0xFFF
		}
		f.link(f.nextFree, next)
		f.nextFree++
	}
}

// longName adds the entries of a long name, the last part first, 13 characters in each.
func (f *fat) longName(name, short string) {
	sum := byte(0)
	for i := range len(short) {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	units := utf16.Encode([]rune(name))
	if len(units)%13 != 0 {
		units = append(units, 0)
	}
	for len(units)%13 != 0 {
		units = append(units, 0xFFFF)
	}
	for part := len(units) / 13; part > 0; part-- {
		e := f.entry()
		e[0] = byte(part)
		if part == len(units)/13 {
			e[0] |= 0x40
		}
		e[11], e[13] = 0x0F, sum
		for i, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			binary.LittleEndian.PutUint16(e[at:], units[(part-1)*13+i])
		}
	}
}
