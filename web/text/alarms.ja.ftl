# 関守そのものの異常と、その手当て

alarm-heading = 関守に異常があります
alarm-store-away = 保管庫が応答しません。サインイン中の人は続けられますが、新しいサインインはできず、変更もまだ効いていません。ディスクかデータベースを確かめてください。
alarm-log-unwritable = アクセス記録を書けません。記録できないアクセスは拒否しています。記録のディスクをすぐに確かめてください。
alarm-log-nearly-full = アクセス記録かそのディスクがほぼ一杯です。一杯になるとすべて拒否されます。その前に空きを作ってください。
alarm-clock-unsynchronised = この機械の時計が正しい時刻に合わせられていません。時刻同期を動かしてください。記録とサインインの前提です。
alarm-config-refused = 変更された設定は受け入れられず、前の設定のまま動いています。理由は `sekimori check` で分かります。
alarm-last-good-config = 設定ファイルを読めないため、最後に正しかった設定で起動しました。理由は `sekimori check` で分かります。
alarm-certificate-ends = サーバー証明書の期限が14日以内に切れるか、すでに切れています。新しいものに置き換えてください。再起動は要りません。
alarm-certificate-not-ordered = 新しいサーバー証明書を認証局から取得できませんでした。今の証明書を使い続けています。理由と次に試す時刻は `sekimori doctor` で分かります。
alarm-certificate-missing = サーバー証明書のないホストがあり、ブラウザーはそこに接続できません。どのホストか、なぜ取得できていないかは `sekimori doctor` で分かります。
alarm-upstream-down = アプリのサーバーが応答しません。どれかは `sekimori doctor` で分かります。
alarm-descriptors-short = 開けるファイルと接続の数がほぼ上限で、新しい接続を待たせています。サービスの `LimitNOFILE` を増やしてください。
alarm-memory-short = 使えるメモリがほとんど残っていません。サービスの `MemoryMax` を増やすか、`connections_max` を減らしてください。
alarm-panicked = 関守の不具合で一部の処理が途中で終わりました。診断ログを開発元に送ってください。
alarm-handover-failed = 次のプロセスへの引き継ぎができず、今のプロセスのまま動いています。理由は診断ログにあります。
alarm-overloaded = 処理しきれない量の要求が来ています。サインインしていない人には少し待って再度アクセスするよう案内し、サインイン中の人は続けられます。調べ方は docs/operate/limits.ja.md にあります。
alarm-index-behind = 索引がアクセス記録に追いつかず、新しい記録を検索できません。記録そのものは残っています。
