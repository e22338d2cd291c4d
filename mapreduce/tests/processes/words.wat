;; A program of WASI preview 1 for tests. Its first argument says what it does: `map` writes `word TAB 1` for each word,
;; `reduce` adds up the numbers of equal keys; `say` writes its environment; `open`, `grow`, `spin` and `trap` try what
;; they are to be kept from.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  ;; 0: a buffer's description, and how many bytes; 64: arguments; 4096: their texts; 65536: input; 131072: output;
  ;; 196608: the key before; 262144: the key now; 327680: the environment.
  (memory (export "memory") 16)
  (data (i32.const 1024) "/etc/passwd")
  (data (i32.const 1100) "reporter:counter:Words,Exits,1\n")
  (global $at (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 0))
  (global $out (mut i32) (i32.const 0))

  (func $get (result i32)
    (if (i32.ge_u (global.get $at) (global.get $end))
      (then
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 65536))
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
        (if (i32.eqz (i32.load (i32.const 8))) (then (return (i32.const -1))))
        (global.set $at (i32.const 65536))
        (global.set $end (i32.add (i32.const 65536) (i32.load (i32.const 8))))))
    (i32.load8_u (global.get $at))
    (global.set $at (i32.add (global.get $at) (i32.const 1))))

  (func $write (param $to i32) (param $from i32) (param $bytes i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $bytes))
    (if (call $fd_write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable))))

  (func $flush
    (call $write (i32.const 1) (i32.const 131072) (global.get $out))
    (global.set $out (i32.const 0)))

  (func $put (param $byte i32)
    (i32.store8 (i32.add (i32.const 131072) (global.get $out)) (local.get $byte))
    (global.set $out (i32.add (global.get $out) (i32.const 1)))
    (if (i32.eq (global.get $out) (i32.const 65536)) (then (call $flush))))

  (func $put_number (param $number i64)
    (if (i64.ge_u (local.get $number) (i64.const 10))
      (then (call $put_number (i64.div_u (local.get $number) (i64.const 10)))))
    (call $put (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))

  (func $map (local $byte i32) (local $in_word i32)
    (loop $next
      (local.set $byte (call $get))
      (if (i32.gt_s (local.get $byte) (i32.const 32))
        (then
          (call $put (local.get $byte))
          (local.set $in_word (i32.const 1)))
        (else
          (if (local.get $in_word)
            (then
              (call $put (i32.const 9))
              (call $put (i32.const 49))
              (call $put (i32.const 10))))
          (local.set $in_word (i32.const 0))))
      (br_if $next (i32.ne (local.get $byte) (i32.const -1)))))

  (func $put_sum (param $bytes i32) (param $sum i64) (local $place i32)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $place) (local.get $bytes)))
        (call $put (i32.load8_u (i32.add (i32.const 196608) (local.get $place))))
        (local.set $place (i32.add (local.get $place) (i32.const 1)))
        (br $next)))
    (call $put (i32.const 9))
    (call $put_number (local.get $sum))
    (call $put (i32.const 10)))

  (func $same (param $bytes i32) (result i32) (local $place i32)
    (loop $next
      (if (i32.eq (local.get $place) (local.get $bytes)) (then (return (i32.const 1))))
      (if (i32.ne
            (i32.load8_u (i32.add (i32.const 196608) (local.get $place)))
            (i32.load8_u (i32.add (i32.const 262144) (local.get $place))))
        (then (return (i32.const 0))))
      (local.set $place (i32.add (local.get $place) (i32.const 1)))
      (br $next))
    (unreachable))

  (func $reduce
    (local $byte i32) (local $before i32) (local $now i32) (local $number i64) (local $sum i64) (local $any i32)
    (block $ended
      (loop $line
        (local.set $now (i32.const 0))
        (local.set $number (i64.const 0))
        (block $key_read
          (loop $key
            (local.set $byte (call $get))
            (br_if $ended (i32.eq (local.get $byte) (i32.const -1)))
            (br_if $key_read (i32.eq (local.get $byte) (i32.const 9)))
            (i32.store8 (i32.add (i32.const 262144) (local.get $now)) (local.get $byte))
            (local.set $now (i32.add (local.get $now) (i32.const 1)))
            (br $key)))
        (block $number_read
          (loop $digit
            (local.set $byte (call $get))
            (br_if $number_read (i32.lt_s (local.get $byte) (i32.const 48)))
            (local.set $number
              (i64.add
                (i64.mul (local.get $number) (i64.const 10))
                (i64.extend_i32_u (i32.sub (local.get $byte) (i32.const 48)))))
            (br $digit)))
        (if (i32.and (local.get $any) (i32.eq (local.get $now) (local.get $before)))
          (then
            (if (call $same (local.get $now))
              (then
                (local.set $sum (i64.add (local.get $sum) (local.get $number)))
                (br $line)))))
        (if (local.get $any) (then (call $put_sum (local.get $before) (local.get $sum))))
        (memory.copy (i32.const 196608) (i32.const 262144) (local.get $now))
        (local.set $before (local.get $now))
        (local.set $sum (local.get $number))
        (local.set $any (i32.const 1))
        (br $line)))
    (if (local.get $any) (then (call $put_sum (local.get $before) (local.get $sum)))))

  (func $say
    (if (call $environ_sizes (i32.const 16) (i32.const 20)) (then (unreachable)))
    (if (call $environ (i32.const 327680) (i32.const 344064)) (then (unreachable)))
    (call $write (i32.const 1) (i32.const 344064) (i32.load (i32.const 20))))

  (func $grow
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (call $exit (i32.const 77)))

  (func $open
    (call $write (i32.const 2) (i32.const 1100) (i32.const 31))
    (call $exit
      (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 11) (i32.const 0) (i64.const 2)
        (i64.const 0) (i32.const 0) (i32.const 32))))

  (func (export "_start") (local $what i32)
    (if (call $args_sizes (i32.const 16) (i32.const 20)) (then (unreachable)))
    (if (call $args (i32.const 64) (i32.const 4096)) (then (unreachable)))
    (local.set $what (i32.load8_u (i32.load (i32.const 68))))
    (if (i32.eq (local.get $what) (i32.const 109)) (then (call $map)))
    (if (i32.eq (local.get $what) (i32.const 114)) (then (call $reduce)))
    (if (i32.eq (local.get $what) (i32.const 103)) (then (call $grow)))
    (if (i32.eq (local.get $what) (i32.const 111)) (then (call $open)))
    (if (i32.eq (local.get $what) (i32.const 116)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 115))
      (then
        ;; `say` or `spin`.
        (if (i32.eq (i32.load8_u (i32.add (i32.load (i32.const 68)) (i32.const 1))) (i32.const 97))
          (then (call $say))
          (else (loop $ever (br $ever))))))
    (call $flush)))
