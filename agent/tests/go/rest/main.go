// Rest has goroutines in every state that can be held, and tells what it knows of itself.
//
// For each line on standard input it comes to rest, notes what its runtime says, writes "ready",
// and waits in a raw system call: nothing moves until the next line comes. Then it prints, as one line
// of JSON, what it had noted.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type histogram struct {
	Counts  []uint64
	Buckets []float64
}

type report struct {
	Go           string
	NumGoroutine int
	GOMAXPROCS   int
	Started      uint64
	Metrics      map[string]uint64
	Histograms   map[string]histogram
	States       map[string]int
	Sites        map[string]int
	NumGC        int64
	PauseTotal   int64
	LastGC       int64
	StackInuse   uint64
	Moved        []string
}

// Goroutines that this program started.
var started uint64

func spawn(count int, run func()) {
	for i := 0; i < count; i++ {
		started++
		go run()
	}
}

// spawnOthers stands for another place that starts goroutines.
func spawnOthers(count int, run func()) {
	for i := 0; i < count; i++ {
		started++
		go run()
	}
}

func churn(count int) {
	var done sync.WaitGroup
	done.Add(count)
	spawnOthers(count, done.Done)
	done.Wait()
}

var keep [][]byte

func populate() {
	receive := make(chan int)
	send := make(chan int)
	var mutex sync.Mutex
	var group sync.WaitGroup
	condition := sync.NewCond(&sync.Mutex{})
	mutex.Lock()
	group.Add(1)
	spawn(170, func() { <-receive })
	spawn(9, func() { send <- 1 })
	spawn(5, func() {
		select {
		case <-receive:
		case send <- 1:
		}
	})
	spawn(3, mutex.Lock)
	spawn(4, group.Wait)
	spawn(6, func() { time.Sleep(time.Hour) })
	spawn(2, func() { condition.L.Lock(); condition.Wait() })
	spawn(3, func() { var never chan int; <-never })
	spawn(2, func() { select {} })
	for i := 0; i < 2; i++ {
		reader, writer, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		keep = append(keep, []byte(writer.Name()))
		spawnOthers(1, func() { reader.Read(make([]byte, 1)); writer.Close() })
	}
	for i := 0; i < 2; i++ {
		var pipe [2]int
		if err := syscall.Pipe(pipe[:]); err != nil {
			panic(err)
		}
		spawnOthers(1, func() { syscall.Read(pipe[0], make([]byte, 1)) })
	}
	// A finalizer that runs for good makes its goroutine one of the program's.
	if len(os.Args) > 1 && os.Args[1] == "finalizer" {
		runtime.SetFinalizer(&[8]int64{}, func(*[8]int64) { <-receive })
	}
}

func allocate() {
	for i := 0; i < 1000; i++ {
		keep = append(keep, make([]byte, i*7))
	}
	keep = append(keep, make([]byte, 3<<20))
	keep = keep[len(keep)/2:]
}

func states(dump string) (map[string]int, map[string]int) {
	states, sites := map[string]int{}, map[string]int{}
	for _, goroutine := range strings.Split(dump, "\n\n") {
		lines := strings.Split(strings.TrimSpace(goroutine), "\n")
		from := strings.Index(lines[0], "[")
		state := strings.TrimSuffix(lines[0][from+1:], "]:")
		state = strings.Split(state, ", ")[0]
		// From 1.25 on the reason may have an addition in parentheses that is no part of it.
		state = strings.TrimSuffix(state, " (durable)")
		states[state]++
		for _, line := range lines {
			if strings.HasPrefix(line, "created by ") {
				site := strings.TrimPrefix(line, "created by ")
				sites[strings.Split(site, " in goroutine ")[0]]++
			}
		}
	}
	return states, sites
}

func same(a, b metrics.Value) bool {
	switch a.Kind() {
	case metrics.KindUint64:
		return a.Uint64() == b.Uint64()
	case metrics.KindFloat64Histogram:
		return reflect.DeepEqual(a.Float64Histogram(), b.Float64Histogram())
	}
	return true
}

func main() {
	populate()
	if withC != nil {
		withC()
	}
	allocate()
	runtime.GC()
	churn(1000)

	names := []string{
		"/sched/goroutines:goroutines", "/sched/goroutines-created:goroutines",
		"/sched/threads/total:threads", "/sched/gomaxprocs:threads", "/sched/latencies:seconds",
		"/gc/cycles/total:gc-cycles", "/gc/cycles/forced:gc-cycles", "/gc/pauses:seconds",
		"/gc/heap/live:bytes", "/gc/heap/goal:bytes", "/gc/heap/objects:objects",
		"/gc/heap/allocs:bytes", "/gc/heap/allocs:objects",
		"/memory/classes/heap/objects:bytes", "/memory/classes/heap/stacks:bytes",
	}
	samples := make([]metrics.Sample, len(names))
	after := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
		after[i].Name = name
	}
	metrics.Read(after)
	ready := []byte("ready\n")
	var line [1]byte
	var memory runtime.MemStats
	dump := make([]byte, 1<<20)
	for {
		if n, _ := syscall.Read(0, line[:]); n == 0 {
			return
		}
		churn(123)
		allocate()
		// Else a goroutine of the runtime's own would give memory back little by little, and run now
		// and then for a long time.
		debug.FreeOSMemory()
		time.Sleep(20 * time.Millisecond)
		var collector debug.GCStats
		var text string
		var goroutines int
		for {
			debug.ReadGCStats(&collector)
			runtime.ReadMemStats(&memory)
			text = string(dump[:runtime.Stack(dump, true)])
			metrics.Read(samples)
			time.Sleep(300 * time.Millisecond)
			goroutines = runtime.NumGoroutine()
			metrics.Read(samples)
			// Samples are in the order of the names; this is that of the cycles. A collection that
			// came in between would make the figures those of different moments.
			if samples[5].Value.Uint64() == uint64(collector.NumGC) {
				break
			}
		}
		// From here on nothing is allocated, started or woken; and as the scheduler is not told of
		// these system calls, it does not count their goroutine among those that became runnable.
		syscall.RawSyscall(syscall.SYS_WRITE, 1, uintptr(unsafe.Pointer(&ready[0])), 6)
		syscall.RawSyscall(syscall.SYS_READ, 0, uintptr(unsafe.Pointer(&line[0])), 1)
		metrics.Read(after)
		result := report{
			Go: runtime.Version(), NumGoroutine: goroutines, GOMAXPROCS: runtime.GOMAXPROCS(0),
			Started: started, Metrics: map[string]uint64{}, Histograms: map[string]histogram{},
			NumGC: collector.NumGC, PauseTotal: int64(collector.PauseTotal),
			LastGC: collector.LastGC.UnixNano(), StackInuse: memory.StackInuse,
		}
		for _, sample := range samples {
			switch sample.Value.Kind() {
			case metrics.KindUint64:
				result.Metrics[sample.Name] = sample.Value.Uint64()
			case metrics.KindFloat64Histogram:
				got := sample.Value.Float64Histogram()
				inner := got.Buckets[1 : len(got.Buckets)-1]
				result.Histograms[sample.Name] = histogram{got.Counts, inner}
			}
		}
		// A goroutine of the runtime's own may have run in between: then the figures noted are not
		// those that were there to be seen.
		for i := range samples {
			if !same(samples[i].Value, after[i].Value) {
				result.Moved = append(result.Moved, samples[i].Name)
			}
		}
		result.States, result.Sites = states(text)
		encoded, err := json.Marshal(result)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(encoded))
	}
}

// withC does what needs C, in builds that have it.
var withC func()
